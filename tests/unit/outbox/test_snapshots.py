"""Rows to snapshots."""

import msgspec
import pytest

from crossdock import ids
from crossdock.outbox.snapshots import GONE, NO_KEY, sources, type_key, type_of, types
from crossdock.secrets.model import SealedSecret
from proto.settings import (
    FOREVER,
    EventTypeSettings,
    SourceSettings,
    WrappedKey,
    decoder,
    encoder,
)

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
    "content_types": ["application/json"],
    "indexed_fields": ["/id", "/data/object"],
    "buffers": False,
    "encrypts": False,
    "data_key_id": None,
    "data_key": None,
}
TYPE = {
    "tenant_id": ids.new(),
    "id": ids.new(),
    "version": 4,
    "name": "invoice.paid",
    "mode": "reject",
    "latest": 2,
    "schema": '{"type": "object"}',
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
            content_types=("application/json",),
            indexed=("/id", "/data/object"),
        )
    }


def only(**changed: object) -> SourceSettings:
    """Return the snapshot of the row with these columns changed."""
    found = sources([ROW | changed])["ab" * 32]
    assert isinstance(found, SourceSettings)
    return found


@pytest.mark.parametrize(
    ("state", "buffers", "shown", "holds"),
    [
        ("paused", True, "active", True),
        ("paused", False, "paused", False),
        ("active", True, "active", False),
        ("disabled", True, "disabled", False),
        ("deleted", True, "deleted", False),
    ],
)
def test_a_paused_source_that_buffers_takes_webhooks_and_holds_them(
    state: str, *, buffers: bool, shown: str, holds: bool
) -> None:
    found = only(source_state=state, buffers=buffers)
    assert (found.source_state, found.holds) == (shown, holds)


def test_a_source_that_encrypts_brings_its_tenants_key_and_never_none() -> None:
    key = ids.new()
    found = only(encrypts=True, data_key_id=key, data_key=b"wrapped")
    assert found.data_key == WrappedKey(key.bytes, b"wrapped")
    assert only(encrypts=True).data_key == NO_KEY, "nothing is stored plain for want of a key"
    assert only(data_key_id=key, data_key=b"wrapped").data_key is None


def test_a_type_becomes_a_snapshot_under_its_tenants_and_its_own_id() -> None:
    tenant, own = TYPE["tenant_id"], TYPE["id"]
    key = f"type.{tenant.hex}{own.hex}"  # type: ignore[attr-defined]
    expected = EventTypeSettings(
        version=4,
        tenant_id=tenant.bytes,  # type: ignore[attr-defined]
        name="invoice.paid",
        mode="reject",
        number=2,
        schema=b'{"type": "object"}',
    )
    assert types([TYPE]) == {key: expected}
    assert decoder.decode(encoder.encode(expected)) == expected
    assert type_of(key) == (tenant, own)


def test_a_type_without_a_schema_has_none() -> None:
    (found,) = types([TYPE | {"schema": None, "latest": 0, "mode": "off"}]).values()
    assert isinstance(found, EventTypeSettings)
    assert (found.schema, found.number, found.mode) == (b"", 0, "off")


def test_a_type_without_a_row_is_gone_for_good() -> None:
    tenant, own = ids.new(), ids.new()
    here = (TYPE["tenant_id"], TYPE["id"])
    found = types([TYPE], also=[here, (tenant, own)])  # type: ignore[list-item]
    assert found[type_key(tenant, own)] == EventTypeSettings(FOREVER, tenant.bytes)
    assert len(found) == 2
    assert found[type_key(*here)].version == 4  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "key", ["", "type.", f"type.{'a' * 63}", f"type.{'A' * 64}", "a" * 64, f"user.{'a' * 64}"]
)
def test_other_keys_are_no_types(key: str) -> None:
    assert type_of(key) is None


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
