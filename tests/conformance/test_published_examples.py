"""Examples that vendors and RFCs publish with their outcome, letter by letter."""

import base64
from typing import Any

import msgspec
import pytest

from crossdock.inbound.sources.rules import complete_recipe
from crossdock.native import Source
from crossdock.presets import CATALOGUE

NOW = 1_700_000_000.0


def source(name: str, secret: str, **recipe: Any) -> Source:
    preset = CATALOGUE[name]
    mixed = msgspec.structs.replace(preset.recipe, **recipe)
    return Source(complete_recipe(preset.scheme, mixed, [secret] if secret else []))


def refusal(found: Source, headers: dict[str, str], body: bytes) -> str | None:
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return found.verify("POST", "/", pairs, body, NOW).refusal


@pytest.mark.parametrize(
    ("name", "header", "signature", "body"),
    [
        (
            "github",
            "X-Hub-Signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            b"Hello, World!",
        ),
        (
            "bitbucket",
            "X-Hub-Signature",
            "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9",
            b"Hello World!",
        ),
    ],
)
def test_the_vector_in_the_vendors_documentation(
    name: str, header: str, signature: str, body: bytes
) -> None:
    found = source(name, "It's a Secret to Everybody")
    assert refusal(found, {header: signature}, body) is None
    assert refusal(found, {header: signature}, body + b"!") == "signature-invalid"
    flipped = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    assert refusal(found, {header: flipped}, body) == "signature-invalid"


def test_slacks_documented_vector() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
        b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": (
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
        ),
    }
    found = source("slack", "8f742231b10e8888abcd99yyyzzz85a5")
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    assert found.verify("POST", "/", pairs, body, 1531420618).refusal is None
    late = found.verify("POST", "/", pairs, body, 1531420618 + 301).refusal
    assert late == "timestamp-outside-tolerance"


@pytest.mark.parametrize(
    ("key", "body", "algorithm", "signature"),
    [
        (
            "0b" * 20,
            b"Hi There",
            "sha256",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe".hex(),
            b"what do ya want for nothing?",
            "sha256",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            b"Jefe".hex(),
            b"what do ya want for nothing?",
            "sha384",
            (
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                "8e2240ca5e69e2c78b3239ecfab21649"
            ),
        ),
        (
            b"Jefe".hex(),
            b"what do ya want for nothing?",
            "sha512",
            (
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
            ),
        ),
    ],
)
def test_the_vectors_of_rfc_4231(key: str, body: bytes, algorithm: str, signature: str) -> None:
    recipe = CATALOGUE["hmac"].recipe.hmac
    assert recipe is not None
    mixed = msgspec.structs.replace(recipe, algorithm=algorithm, key_encoding="hex")
    found = source("hmac", key, hmac=mixed)
    assert refusal(found, {"X-Signature": signature}, body) is None
    assert refusal(found, {"X-Signature": signature}, body + b" ") == "signature-invalid"


def test_the_examples_of_rfc_7617() -> None:
    found = source("basic", "Aladdin:open sesame")
    assert refusal(found, {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, b"") is None
    assert refusal(found, {"Authorization": "Basic dGVzdDoxMjPCow=="}, b"") == "signature-invalid"
    assert base64.b64decode("dGVzdDoxMjPCow==").decode() == "test:123£"
    utf8 = source("basic", "test:123£")
    assert refusal(utf8, {"Authorization": "Basic dGVzdDoxMjPCow=="}, b"") is None


def test_the_example_of_rfc_6750() -> None:
    found = source("bearer", "mF_9.B5f-4.1JqM")
    assert refusal(found, {"Authorization": "Bearer mF_9.B5f-4.1JqM"}, b"") is None
    assert refusal(found, {"Authorization": "Bearer mF_9.B5f-4.1JqN"}, b"") == "signature-invalid"


def test_metas_documented_handshake() -> None:
    asked = b"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock"
    known = source("meta", "secret", verify_token="meatyhamhock")
    answer = ("text/plain", b"1158201444")
    assert known.handshake("GET", asked, [], b"", NOW) == answer
    other = source("meta", "secret", verify_token="another")
    assert other.handshake("GET", asked, [], b"", NOW) is None


def test_microsofts_documented_handshake() -> None:
    """The token is echoed as it was before it was encoded for the URL."""
    asked = b"validationToken=Validation%3a+Testing+client+application+reachability+for+1"
    answer = ("text/plain", b"Validation: Testing client application reachability for 1")
    assert source("microsoft-graph", "").handshake("POST", asked, [], b"", NOW) == answer


def test_dropboxs_documented_handshake() -> None:
    answer = source("dropbox", "secret").handshake("GET", b"challenge=abc123", [], b"", NOW)
    assert answer == ("text/plain", b"abc123")
