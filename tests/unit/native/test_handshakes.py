"""The questions providers ask before they send events."""

import hashlib
import hmac

import msgspec
import pytest

from crossdock.native import Signer, Source, Verdict

NOW = 1_700_000_000.0


def recipe(scheme: str, **fields: object) -> bytes:
    """A recipe with a secret where there must be one."""
    secrets = [] if scheme == "none" else ["u:secret"]
    return msgspec.json.encode({"scheme": scheme, "secrets": secrets, **fields})


def ask(source: Source, query: str, method: str = "GET", body: bytes = b"") -> object:
    """The answer to an unsigned question."""
    return source.handshake(method, query.encode(), [], body, NOW)


def signed(prepared: bytes, body: bytes) -> Verdict:
    """The verdict on a signed question."""
    headers = Signer(prepared).sign("POST", "/", body, NOW)
    asgi = [(name.encode(), value.encode()) for name, value in headers]
    return Source(prepared).verify("POST", "/", asgi, body, NOW)


def test_meta_is_answered_if_it_knows_the_verify_token() -> None:
    source = Source(recipe("github", verify_token="to ken"))
    query = "hub.mode=subscribe&hub.challenge=115&hub.verify_token=to+ken"
    assert ask(source, query) == ("text/plain", b"115")
    assert ask(source, query.replace("ken", "kex")) is None
    assert ask(source, query.replace("subscribe", "x")) is None
    assert ask(source, query + "&hub.verify_token=to+ken") is None
    assert ask(source, query, "POST") is None
    assert ask(Source(recipe("github")), query) is None


@pytest.mark.parametrize("scheme", ["none", "basic", "bearer"])
def test_microsoft_and_dropbox_are_answered_in_plain_text(scheme: str) -> None:
    source = Source(recipe(scheme))
    assert ask(source, "challenge=abc") == ("text/plain", b"abc")
    assert ask(source, "validationToken=a%20b%3Cscript%3E", "POST") == (
        "text/plain",
        b"a b<script>",
    )
    assert ask(source, "validationToken=a", "POST", b'{"value":[]}') is None
    assert ask(source, "") is None


def test_an_echo_is_bounded_and_printable() -> None:
    source = Source(recipe("none"))
    for query in (
        "challenge=", "challenge=%00", "challenge=a%0d%0ab", "challenge=%C3%A9",
        f"challenge={'a' * 1025}", "challenge=a&challenge=b",
    ):  # fmt: skip
        assert ask(source, query) is None
    assert ask(source, f"challenge={'a' * 1024}") is not None


def test_schemes_whose_providers_never_ask_do_not_echo() -> None:
    assert ask(Source(recipe("stripe")), "challenge=abc") is None
    assert ask(Source(recipe("stripe")), "validationToken=abc", "POST") is None


def test_slack_is_answered_only_when_it_signed_the_question() -> None:
    body = b'{"token":"x","challenge":"3eZbrw1a","type":"url_verification"}'
    verdict = signed(recipe("slack"), body)
    assert verdict.refusal is None
    assert verdict.handshake == ("text/plain", b"3eZbrw1a")
    forged = Source(recipe("slack")).verify("POST", "/", [], body, NOW)
    assert (forged.refusal, forged.handshake) == ("signature-missing", None)
    for other in (b'{"challenge":"a","type":"event_callback"}', b'{"type":"url_verification"}',
                  b'{"challenge":"a\\n","type":"url_verification"}'):  # fmt: skip
        assert signed(recipe("slack"), other).handshake is None


def test_zoom_gets_its_token_signed_with_the_secret_it_used() -> None:
    body = b'{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}'
    headers = Signer(recipe("zoom", secrets=["new"])).sign("POST", "/", body, NOW)
    asgi = [(name.encode(), value.encode()) for name, value in headers]
    rotating = Source(recipe("zoom", secrets=["old", "new"]))
    handshake = rotating.verify("POST", "/", asgi, body, NOW).handshake
    assert handshake is not None
    content_type, answer = handshake
    assert content_type == "application/json"
    token = "qgg8vlvZRS6UYooatFL8Aw"
    assert msgspec.json.decode(answer) == {
        "plainToken": token,
        "encryptedToken": hmac.new(b"new", token.encode(), hashlib.sha256).hexdigest(),
    }


@pytest.mark.parametrize("token", ["v0:1700000000:{}", "", "a b", 'a"b', "x" * 257, 7])
def test_zooms_token_can_never_be_the_text_of_an_event(token: object) -> None:
    body = msgspec.json.encode(
        {"event": "endpoint.url_validation", "payload": {"plainToken": token}}
    )
    verdict = signed(recipe("zoom"), body)
    assert (verdict.refusal, verdict.handshake) == (None, None)
