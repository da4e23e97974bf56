"""A pasted example: taken as it was sent, or told what would fit, and never what was expected."""

import base64
import hmac
from typing import Any

import msgspec
import pytest

from crossdock import native
from crossdock.errors import Invalid, RecipeMismatch
from crossdock.inbound.model import HmacRecipe, Recipe, Scheme
from crossdock.inbound.sources import proving
from crossdock.inbound.sources.examples import Example, Pasted, read
from crossdock.inbound.sources.proving import Proof
from crossdock.inbound.sources.recipes import Checked
from crossdock.inbound.sources.recipes.hints import MOST_BYTES
from crossdock.presets import CATALOGUE

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
BODY = b'{"id": 1, "text": "gr\xc3\xbc\xc3\x9fe"}\n'
AT = 1_500_000_000
URL = "https://hooks.example/in/x"


def pasted(headers: dict[str, str], body: bytes = BODY, url: str = "") -> Pasted:
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Pasted(pairs, body, url)


def signature(text: bytes, *, key: bytes = SECRET.encode(), algorithm: str = "sha256") -> bytes:
    return hmac.new(key, text, algorithm).digest()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


async def tried(recipe: HmacRecipe, example: Pasted, secret: str = SECRET) -> Checked:
    return await proving.attempt("hmac", Recipe(hmac=recipe), [secret], example)


PLAIN = HmacRecipe(signature_header="X-Signature")
TIMED = HmacRecipe(
    signature_header="X-Signature", timestamp_header="X-Timestamp", template="{timestamp}.{body}"
)


async def test_an_old_example_verifies_at_its_own_time() -> None:
    text = f"{AT}.".encode() + BODY
    headers = {"X-Signature": signature(text).hex(), "X-Timestamp": str(AT)}
    found = await tried(TIMED, pasted(headers))
    assert found.verified
    assert found.hints == ()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(
            {"X-Signature": base64.b64encode(signature(BODY)).decode()},
            {"/recipe/hmac/encoding": "base64"},
            id="base64",
        ),
        pytest.param(
            {"X-Signature": signature(BODY, algorithm="sha1").hex()},
            {"/recipe/hmac/algorithm": "sha1"},
            id="sha1",
        ),
        pytest.param(
            {"X-Signature": signature(BODY, algorithm="sha512").hex()},
            {"/recipe/hmac/algorithm": "sha512"},
            id="sha512",
        ),
        pytest.param(
            {"X-Signature": f"sha256={signature(BODY).hex()}"},
            {"/recipe/hmac/prefix": "sha256="},
            id="prefix",
        ),
        pytest.param(
            {"X-Other-Signature": signature(BODY).hex()},
            {"/recipe/hmac/signature_header": "x-other-signature"},
            id="another header",
        ),
        pytest.param(
            {"X-Signature": signature(BODY, key=base64.b64decode(SECRET)).hex()},
            {"/recipe/hmac/key_encoding": "base64"},
            id="a key in base64",
        ),
        pytest.param(
            {
                "X-Signature": signature(f"{AT}.".encode() + BODY).hex(),
                "X-Request-Timestamp": str(AT),
            },
            {
                "/recipe/hmac/template": "{timestamp}.{body}",
                "/recipe/hmac/timestamp_header": "x-request-timestamp",
            },
            id="a time in front",
        ),
        pytest.param(
            {
                "X-Signature": signature(f"msg_1.{AT}.".encode() + BODY).hex(),
                "X-Time": str(AT),
                "X-Message-Id": "msg_1",
            },
            {
                "/recipe/hmac/template": "{id}.{timestamp}.{body}",
                "/recipe/hmac/timestamp_header": "x-time",
                "/recipe/hmac/id_header": "x-message-id",
            },
            id="an id and a time in front",
        ),
        pytest.param(
            {"X-Signature": _base64(signature(BODY + URL.encode(), algorithm="sha1"))},
            {
                "/recipe/hmac/algorithm": "sha1",
                "/recipe/hmac/encoding": "base64",
                "/recipe/hmac/template": "{body}{url}",
            },
            id="the url behind, and three things wrong",
        ),
    ],
)
async def test_what_would_fit_is_told(headers: dict[str, str], expected: dict[str, str]) -> None:
    example = pasted(headers, url=URL)
    found = await tried(PLAIN, example)
    assert not found.verified
    assert {hint.pointer: hint.value for hint in found.hints} == expected
    if "/recipe/hmac/signature_header" in expected or "url" in str(expected):
        return
    # And it does fit.
    changes: Any = {name.rpartition("/")[2]: value for name, value in expected.items()}
    mended = HmacRecipe(**{"signature_header": "X-Signature", **changes})
    assert (await tried(mended, example)).verified


@pytest.mark.parametrize(
    ("edited", "words"),
    [
        (BODY.rstrip(), "with a line break at its end"),
        (BODY + b"\n", "without the line break at its end"),
        (BODY.replace(b"\n", b"\r\n"), "with line breaks of one character"),
    ],
    ids=["cut", "added", "of two characters"],
)
async def test_what_an_editor_did_to_the_body_is_told(edited: bytes, words: str) -> None:
    headers = {"X-Signature": signature(BODY).hex()}
    found = await tried(PLAIN, pasted(headers, edited))
    assert [hint.pointer for hint in found.hints] == ["/example/body"]
    assert words in found.hints[0].detail


async def test_a_scheme_of_the_catalogue_is_recognised() -> None:
    headers = {"X-Shopify-Hmac-Sha256": base64.b64encode(signature(BODY)).decode()}
    found = await tried(PLAIN, pasted(headers))
    assert [(hint.pointer, hint.value) for hint in found.hints] == [("/scheme", "shopify")]


async def test_a_wrong_secret_gets_no_hint_and_nothing_that_was_expected() -> None:
    headers = {"X-Signature": signature(BODY, key=b"another").hex(), "X-Timestamp": str(AT)}
    proof = Proof(example=pasted(headers))
    with pytest.raises(RecipeMismatch) as caught:
        await proving.check("hmac", Recipe(hmac=PLAIN), [SECRET], proof)
    said = " ".join(f"{one.pointer} {one.detail}" for one in caught.value.violations)
    assert SECRET not in said
    for algorithm in ("sha1", "sha256", "sha384", "sha512"):
        expected = signature(BODY, algorithm=algorithm)
        assert expected.hex() not in said
        assert base64.b64encode(expected).decode() not in said
    assert [one.pointer for one in caught.value.violations] == ["/example/headers"]


async def test_a_flipped_bit_in_any_part_is_a_mismatch() -> None:
    text = f"{AT}.".encode() + BODY
    headers = {"X-Signature": signature(text).hex(), "X-Timestamp": str(AT)}
    for broken in (
        pasted(headers | {"X-Timestamp": str(AT + 1)}),
        pasted(headers, BODY[:5] + bytes([BODY[5] ^ 1]) + BODY[6:]),
        pasted(headers | {"X-Signature": "0" * 64}),
    ):
        found = await tried(TIMED, broken)
        assert (found.verified, found.hints) == (False, ())


async def test_the_search_ends_with_many_headers_and_a_large_body() -> None:
    headers = {f"X-{name}-{n}": "0" * 64 for n in range(25) for name in ("Sign", "Hash")}
    headers |= {f"X-Time-{n}": str(AT + n) for n in range(25)}
    headers |= {f"X-{n}-Id": f"id{n}" for n in range(25)}
    found = await tried(PLAIN, pasted(headers, b"x" * 190_000, URL))
    assert not found.verified
    assert found.hints == ()
    assert MOST_BYTES < 2**27


@pytest.mark.parametrize("scheme", ["stripe", "slack", "zoom", "zendesk", "paddle", "linear"])
async def test_every_schemes_own_time_is_found(scheme: Scheme) -> None:
    secret = native.generate_secret(scheme)
    source = {"scheme": scheme, "secrets": [secret]}
    written = CATALOGUE[scheme].samples[0].write("1", AT)
    signed = native.Signer(msgspec.json.encode(source)).sign("POST", "/", written.body, AT)
    found = await proving.attempt(scheme, Recipe(), [secret], pasted(dict(signed), written.body))
    assert found.verified, found.detail


def test_an_example_has_one_body() -> None:
    with pytest.raises(Invalid):
        read(Example(headers={}))
    with pytest.raises(Invalid):
        read(Example(headers={}, body="a", body_base64="YQ=="))
    with pytest.raises(Invalid):
        read(Example(headers={}, body_base64="no base64!"))
    with pytest.raises(Invalid):
        read(Example(headers={"x": "\u4e2d"}, body=""))
    with pytest.raises(Invalid):
        read(Example(headers={}, body="\ud800"))
    assert read(Example(headers={" A ": " b "}, body_base64="YQ==")).body == b"a"
