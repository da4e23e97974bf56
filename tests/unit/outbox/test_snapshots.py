"""Rows to snapshots."""

import msgspec
import pytest

from crossdock import ids
from crossdock.outbox.snapshots import GONE, sources
from crossdock.secrets.model import SealedSecret
from proto.settings import SourceSettings, decoder, encoder

ROW = {
    "tenant_id": ids.new(),
    "id": ids.new(),
    "token_hash": b"\xab" * 32,
    "version": 7,
    "shard": 2,
    "tenant_state": "suspended",
    "source_state": "paused",
    "max_body_bytes": 1000,
    "recipe": '{"scheme": "stripe"}',
    "blocked_until": 9.5,
    "webhooks_per_minute": 30,
    "plan": "standard",
    "quotas": '{"webhooks_per_minute": 70}',
    "secrets": '[{"id": "a", "sealed": "AQID", "not_after": 5.5}]',
}


def test_a_row_becomes_the_snapshot_of_its_token() -> None:
    assert sources([ROW]) == {
        "ab" * 32: SourceSettings(
            version=7,
            tenant_id=ROW["tenant_id"].bytes,  # type: ignore[attr-defined]
            source_id=ROW["id"].bytes,  # type: ignore[attr-defined]
            shard=2,
            tenant_state="suspended",
            source_state="paused",
            recipe=b'{"scheme": "stripe"}',
            secrets=(SealedSecret("a", b"\x01\x02\x03", 5.5),),
            max_body_bytes=1000,
            blocked_until=9.5,
            webhooks_per_minute=30,
            tenant_webhooks_per_minute=70,
        )
    }


@pytest.mark.parametrize(("plan", "limit"), [("standard", 60_000), ("unlimited", 0)])
def test_a_source_without_a_limit_has_its_tenants_plans(plan: str, limit: int) -> None:
    found = sources([ROW | {"webhooks_per_minute": None, "quotas": "{}", "plan": plan}])["ab" * 32]
    assert isinstance(found, SourceSettings)
    assert (found.webhooks_per_minute, found.tenant_webhooks_per_minute) == (0, limit)


def test_a_token_without_a_row_is_gone() -> None:
    found = sources([ROW], also=["ab" * 32, "cd" * 32])
    assert found["cd" * 32] is GONE
    assert found["ab" * 32].version == 7


def test_a_snapshot_reads_back_and_knows_no_more_than_it_must() -> None:
    snapshot = sources([ROW])["ab" * 32]
    assert decoder.decode(encoder.encode(snapshot)) == snapshot
    assert decoder.decode(encoder.encode(GONE)) == GONE


def test_a_field_that_a_later_release_adds_is_passed_over() -> None:
    later = msgspec.msgpack.decode(encoder.encode(GONE)) | {"later": [1, 2]}
    assert decoder.decode(msgspec.msgpack.encode(later)) == GONE
