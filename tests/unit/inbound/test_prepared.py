"""A source's settings made ready: the live secrets, again when one ends, and never a leak."""

import time
from typing import Any
from uuid import UUID

import msgspec
import pytest
from structlog.testing import capture_logs

from crossdock import ids, native
from crossdock.errors import Unavailable
from crossdock.inbound.sources.prepared import PreparedSource
from crossdock.inbound.sources.sealing import secret_context
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.payloads import wrap
from crossdock.secrets.seal import Sealer
from proto.settings import SourceSettings, WrappedKey

TENANT, SOURCE = ids.new(), ids.new()
SEALER = Sealer(bytes(32))
BODY = b'{"id": "evt_1"}'


def settings(
    *secrets: tuple[str, float | None], recipe: bytes = b'{"scheme":"github"}'
) -> SourceSettings:
    context = secret_context(TENANT, SOURCE)
    return SourceSettings(
        version=3,
        tenant_id=TENANT.bytes,
        source_id=SOURCE.bytes,
        recipe=recipe,
        secrets=tuple(
            SealedSecret(str(number), SEALER.seal(text.encode(), context=context), end)
            for number, (text, end) in enumerate(secrets)
        ),
    )


def takes(source: PreparedSource, secret: str) -> bool:
    signer = native.Signer(msgspec.json.encode({"scheme": "github", "secrets": [secret]}))
    signed = signer.sign("POST", "/", BODY, 1e9)
    headers = [(name.encode(), value.encode()) for name, value in signed]
    return source.native.verify("POST", "/", headers, BODY, 1e9).refusal is None


def test_it_is_made_at_first_use_and_kept() -> None:
    source = PreparedSource(settings(("one secret", None)), SEALER)
    assert source._native is None
    assert source.native is source.native
    assert takes(source, "one secret")
    assert not takes(source, "another")


def test_it_is_made_again_when_a_secret_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    source = PreparedSource(settings(("new", None), ("old", 1060.0)), SEALER)
    first = source.native
    assert takes(source, "new")
    assert takes(source, "old")
    now = 1059.9
    assert source.native is first
    now = 1060.0
    assert takes(source, "new")
    assert not takes(source, "old")
    assert source.native is source.native


@pytest.mark.parametrize(
    "broken",
    [
        settings(("s3cret-text", None), recipe=b'{"scheme":"nonsense"}'),
        settings(("s3cret-text", None), recipe=b'{"scheme":"github","extra":"s3cret-text"}'),
        settings(("s3cret-text", None), recipe=b'{"scheme": s3cret-text'),
        settings(("s3cret-text", None), recipe=b"[]"),
        settings(("s3cret-text", None), recipe=b""),
        settings(recipe=b'{"scheme":"github"}'),
        settings(("", None)),
        msgspec.structs.replace(settings(("s3cret-text", None)), tenant_id=bytes(16)),
        msgspec.structs.replace(settings(), secrets=(SealedSecret("0", b"s3cret-text"),)),
    ],
)
def test_what_cannot_be_used_is_unavailable_and_said_once(broken: SourceSettings) -> None:
    source = PreparedSource(broken, SEALER)
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(Unavailable):
                _ = source.native
        with pytest.raises(Unavailable) as refused:
            _ = source.native
    assert [line["event"] for line in logs] == ["source_settings_broken"]
    assert logs[0]["source"] == str(SOURCE)
    error: BaseException | None = refused.value
    while error is not None:
        assert "s3cret-text" not in f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert "s3cret-text" not in repr(logs)


def test_secrets_that_are_not_text_are_no_crash() -> None:
    context = secret_context(TENANT, SOURCE)
    odd = SealedSecret("0", SEALER.seal(b"\xff\xfe", context=context))
    source = PreparedSource(msgspec.structs.replace(settings(), secrets=(odd,)), SEALER)
    with pytest.raises(Unavailable):
        _ = source.native


def test_its_text_shows_no_settings() -> None:
    source = PreparedSource(settings(("s3cret-text", None)), SEALER)
    takes(source, "s3cret-text")
    assert repr(source) == f"PreparedSource({SOURCE.hex}, 3)"
    assert "s3cret" not in repr(source.settings)


PAYLOADS = Sealer(b"wraps the data keys of tenants..")
KEY_ID = ids.new()


def with_key(wrapped: WrappedKey | None, **fields: Any) -> SourceSettings:
    return msgspec.structs.replace(settings(("s3cret-text", None)), data_key=wrapped, **fields)


def wrapped_key(tenant: UUID = TENANT) -> WrappedKey:
    return WrappedKey(KEY_ID.bytes, wrap(PAYLOADS, tenant, KEY_ID, bytes(32)))


@pytest.mark.parametrize(
    "fields",
    [{"content_types": ("a/b",)}, {"indexed": ("/a",)}, {"data_key": wrapped_key()}],
    ids=["content types", "indexed", "sealed"],
)
def test_what_needs_more_is_unusual(fields: dict[str, Any]) -> None:
    plain = settings(("s3cret-text", None))
    assert not PreparedSource(plain, SEALER).is_unusual
    assert not PreparedSource(msgspec.structs.replace(plain, holds=True), SEALER).is_unusual
    assert PreparedSource(msgspec.structs.replace(plain, **fields), SEALER).is_unusual


def test_its_data_key_is_opened_once() -> None:
    source = PreparedSource(with_key(wrapped_key()), SEALER, PAYLOADS)
    assert source.data_key is not None
    assert source.data_key.id == KEY_ID
    assert source.data_key is source.data_key
    assert PreparedSource(with_key(None), SEALER, PAYLOADS).data_key is None


@pytest.mark.parametrize(
    ("wrapped", "payloads"),
    [
        (wrapped_key(), None),
        (wrapped_key(), Sealer(bytes(32))),
        (wrapped_key(ids.new()), PAYLOADS),
        (WrappedKey(b"", b""), PAYLOADS),
    ],
    ids=["no key here", "another key", "another tenant's", "none yet"],
)
def test_without_its_data_key_it_cannot_be_used(
    wrapped: WrappedKey, payloads: Sealer | None
) -> None:
    source = PreparedSource(with_key(wrapped), SEALER, payloads)
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Unavailable):
                _ = source.data_key
    assert [line["event"] for line in logs] == ["source_settings_broken"]


def test_its_fields_are_made_once_and_checked() -> None:
    source = PreparedSource(with_key(None, indexed=("/a", "/b")), SEALER)
    assert source.fields is not None
    assert source.fields is source.fields
    assert source.fields.keys(b'{"b":"1"}') == [native.field_key("/b", "1")]
    assert PreparedSource(settings(("s3cret-text", None)), SEALER).fields is None
    with capture_logs(), pytest.raises(Unavailable):
        _ = PreparedSource(with_key(None, indexed=("no pointer",)), SEALER).fields
