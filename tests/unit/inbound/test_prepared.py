"""A source's settings made ready: the live secrets, again when one ends, and never a leak."""

import time

import msgspec
import pytest
from structlog.testing import capture_logs

from crossdock import ids, native
from crossdock.errors import Unavailable
from crossdock.inbound.prepared import PreparedSource
from crossdock.inbound.sealing import secret_context
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer
from proto.settings import SourceSettings

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
