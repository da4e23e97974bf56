"""Properties that hold for every scheme, with the standard library's `hmac` as the oracle."""

import base64
import hashlib
import hmac
import json  # noqa: TID251 # the oracle for what is JSON
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from crossdock.native import (
    SCHEMES,
    Signer,
    Source,
    generate_key_pair,
    generate_secret,
    sha256,
)

NOW: Final = 1_700_000_000.0
REFUSALS: Final = {
    None,
    "signature-missing",
    "signature-invalid",
    "timestamp-outside-tolerance",
    "body-malformed",
}
SIGNING: Final = [name for name in SCHEMES if name not in {"none", "basic", "bearer"}]
PRIVATE, PUBLIC = generate_key_pair()

visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
header_values = st.binary(max_size=200) | st.text(max_size=60).map(str.encode)


def recipe(scheme: str, secrets: list[str], **fields: object) -> bytes:
    """A recipe; a generic one signs all that can be signed."""
    whole: dict[str, object] = {"scheme": scheme, "secrets": secrets, **fields}
    if scheme == "hmac":
        whole.setdefault(
            "hmac",
            {
                "signature_header": "x-signature",
                "timestamp_header": "x-timestamp",
                "id_header": "x-id",
                "template": "{id}.{timestamp}.{url}.{body}",
            },
        )
    return msgspec.json.encode(whole)


def event(content: bytes, scheme: str) -> bytes:
    """A body that the scheme can carry."""
    if scheme == "linear":
        return msgspec.json.encode({"webhookTimestamp": int(NOW * 1000), "text": content.hex()})
    return content


def refusal(source: Source, headers: list[tuple[str, str]], content: bytes) -> str | None:
    """Why the source refuses, or None."""
    asgi = [(name.encode(), value.encode()) for name, value in headers]
    return source.verify("POST", "/in/x?a=1", asgi, content, NOW).refusal


@given(
    scheme=st.sampled_from(SCHEMES),
    content=st.binary(max_size=300),
    others=st.integers(0, 2),
    last=st.booleans(),
)
def test_what_a_scheme_signs_it_verifies_with_any_live_secret(
    *, scheme: str, content: bytes, others: int, last: bool
) -> None:
    content = event(content, scheme)
    if scheme == "none":
        prepared = recipe(scheme, [])
        assert refusal(Source(prepared), [], content) is None
        return
    secret = generate_secret(scheme)
    spare = [generate_secret(scheme) for _ in range(others)]
    live = [*spare, secret] if last else [secret, *spare]
    headers = Signer(recipe(scheme, [secret])).sign("POST", "/in/x?a=1", content, NOW)
    assert refusal(Source(recipe(scheme, live)), headers, content) is None


@given(st.sampled_from(SIGNING), st.binary(min_size=1, max_size=300), st.data())
def test_no_changed_byte_of_body_goes_through(
    scheme: str, content: bytes, data: st.DataObject
) -> None:
    content = event(content, scheme)
    if scheme == "twilio":
        # A form has many spellings of one meaning, and `&` and `=` between its words none.
        content = b"a=" + content.hex().encode()
    prepared = recipe(scheme, [generate_secret(scheme)])
    headers = Signer(prepared).sign("POST", "/in/x?a=1", content, NOW)
    start = 2 if scheme == "twilio" else 0
    at = data.draw(st.integers(start, len(content) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(content)
    changed[at] ^= flip
    if scheme == "twilio":
        assume(changed[at] not in b"&=")
    assert refusal(Source(prepared), headers, bytes(changed)) is not None


@given(st.sampled_from(SIGNING), st.data())
def test_no_changed_character_of_a_signed_header_goes_through(
    scheme: str, data: st.DataObject
) -> None:
    content = event(b"{}", scheme)
    prepared = recipe(scheme, [generate_secret(scheme)])
    labels = {"x-github-delivery", "x-shopify-webhook-id", "linear-delivery"}
    signed = Signer(prepared).sign("POST", "/in/x?a=1", content, NOW)
    headers = [header for header in signed if header[0] not in labels]
    place = data.draw(st.integers(0, len(headers) - 1))
    name, value = headers[place]
    at = data.draw(st.integers(0, len(value) - 1))
    character = data.draw(st.characters(min_codepoint=0x21, max_codepoint=0x7E))
    assume(character.lower() != value[at].lower())
    headers[place] = (name, value[:at] + character + value[at + 1 :])
    assert refusal(Source(prepared), headers, content) is not None


@given(st.sampled_from(SIGNING), st.data())
def test_no_changed_secret_verifies(scheme: str, data: st.DataObject) -> None:
    content = event(b"{}", scheme)
    secret = generate_secret(scheme)
    headers = Signer(recipe(scheme, [secret])).sign("POST", "/in/x?a=1", content, NOW)
    # The last character of a base64 key holds padding bits too, and is not free.
    at = data.draw(st.integers(len("whsec_"), len(secret) - 3))
    character = data.draw(st.sampled_from("0123456789abcdef"))
    assume(character != secret[at])
    changed = secret[:at] + character + secret[at + 1 :]
    assert refusal(Source(recipe(scheme, [changed])), headers, content) == "signature-invalid"


@given(st.binary(max_size=200), st.integers(0, 63), st.integers(1, 255))
def test_no_changed_byte_of_an_ed25519_signature_goes_through(
    content: bytes, at: int, flip: int
) -> None:
    signed = dict(Signer(recipe("standard", [PRIVATE])).sign("POST", "/", content, NOW))
    source = Source(recipe("standard", [PUBLIC]))
    assert refusal(source, [*signed.items()], content) is None
    signature = bytearray(base64.b64decode(signed["webhook-signature"].removeprefix("v1a,")))
    signature[at] ^= flip
    signed["webhook-signature"] = f"v1a,{base64.b64encode(signature).decode()}"
    assert refusal(source, [*signed.items()], content) == "signature-invalid"


@given(
    algorithm=st.sampled_from(["sha1", "sha256", "sha384", "sha512"]),
    encoding=st.sampled_from(["hex", "base64"]),
    key_encoding=st.sampled_from(["raw", "hex", "base64"]),
    key=st.binary(min_size=1, max_size=200),
    parts=st.permutations(["{timestamp}", "{id}", "{url}", "{body}"]),
    words=st.lists(st.text("abc.:- é", max_size=4), min_size=5, max_size=5),
    prefix=st.text("abc=,", max_size=5),
    message_id=visible,
    content=st.binary(max_size=300),
)
def test_any_template_is_signed_as_hmac_signs_it(
    *,
    algorithm: str,
    encoding: str,
    key_encoding: str,
    key: bytes,
    parts: list[str],
    words: list[str],
    prefix: str,
    message_id: str,
    content: bytes,
) -> None:
    template = "".join(word + part for word, part in zip(words, [*parts, ""], strict=True))
    secret = {"hex": key.hex(), "base64": base64.b64encode(key).decode()}.get(key_encoding)
    if secret is None:
        secret = key.hex()
        key = secret.encode()
    settings = {
        "algorithm": algorithm,
        "encoding": encoding,
        "key_encoding": key_encoding,
        "signature_header": "X-Signature",
        "prefix": prefix,
        "timestamp_header": "X-Timestamp",
        "id_header": "X-Id",
        "template": template,
    }
    prepared = recipe("hmac", [secret], hmac=settings, public_url="https://h.example/p")
    values = {
        "{timestamp}": b"1700000000",
        "{id}": message_id.encode(),
        "{url}": b"https://h.example/p?a=1",
        "{body}": content,
    }
    message = b"".join(
        word.encode() + values.get(part, b"")
        for word, part in zip(words, [*parts, ""], strict=True)
    )
    digest = hmac.digest(key, message, algorithm)
    written = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    headers = Signer(prepared).sign("POST", "/in/x?a=1", content, NOW, message_id)
    assert dict(headers)["x-signature"] == prefix + written
    assert refusal(Source(prepared), headers, content) is None


@given(
    st.sampled_from(SCHEMES),
    st.lists(st.tuples(st.integers(0, 9), header_values), max_size=6),
    st.binary(max_size=60),
    st.text(max_size=40),
    st.floats(),
)
def test_nothing_a_sender_can_write_raises_or_goes_through(
    scheme: str, chosen: list[tuple[int, bytes]], content: bytes, url: str, now: float
) -> None:
    prepared = recipe(scheme, [] if scheme == "none" else [generate_secret(scheme)])
    names = [name for name, _ in Signer(prepared).sign("POST", "/", b"", NOW)]
    names += ["content-type", "x-twilio-webhooks-signature-settings", "authorization"]
    headers = [(names[place % len(names)].encode(), value) for place, value in chosen]
    source = Source(prepared)
    verdict = source.verify("POST", url, headers, content, now)
    assert verdict.refusal in REFUSALS
    assert (verdict.refusal is None) == (scheme == "none") or verdict.refusal == "body-malformed"
    assert verdict.detail is None or len(verdict.detail) < 200
    source.handshake("GET", url.encode(), headers, content, now)


@given(st.sampled_from(SIGNING), st.integers(0, 100), st.text("tvsh01=,;. \x00é", max_size=8))
def test_a_signature_header_with_rubbish_in_it_never_goes_through_by_it(
    scheme: str, at: int, rubbish: str
) -> None:
    content = event(b"{}", scheme)
    prepared = recipe(scheme, [generate_secret(scheme)])
    forged = Signer(recipe(scheme, [generate_secret(scheme)])).sign("POST", "/", content, NOW)
    headers = [(name, value[:at] + rubbish + value[at:]) for name, value in forged]
    assert refusal(Source(prepared), headers, content) in REFUSALS - {None}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def is_json(text: bytes) -> bool:
    """Python's opinion, less what it takes beyond RFC 8259."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        json.loads(text.decode(), parse_constant=refuse)
    except ValueError:
        return False
    return True


@given(
    value=json_values,
    compact=st.booleans(),
    splice=st.binary(max_size=3),
    at=st.integers(0, 400),
    cut=st.integers(0, 3),
)
def test_json_is_what_python_calls_json(
    *, value: object, compact: bool, splice: bytes, at: int, cut: int
) -> None:
    written = json.dumps(value, separators=(",", ":") if compact else None).encode()
    source = Source(msgspec.json.encode({"scheme": "none"}))
    headers = [(b"content-type", b"application/json")]
    for text in (written, written[:at] + splice + written[at + cut :]):
        verdict = source.verify("POST", "/", headers, text, NOW)
        assert (verdict.refusal is None) == is_json(text), text


@given(st.dictionaries(st.text(max_size=5), json_values | st.text("ab/~", min_size=1)), st.data())
def test_a_pointer_finds_what_python_finds(
    document: dict[str, object], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([*document, "absent"]))
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    rule = {"scheme": "none", "dedupe": "none", "event_type": {"pointer": pointer}}
    # json writes beyond ASCII, and so any such name, as escapes.
    content = json.dumps(document).encode()
    found = Source(msgspec.json.encode(rule)).verify("POST", "/", [], content, NOW).event_type
    value = document.get(name)
    if isinstance(value, str):
        assert unquote_to_bytes(found) == value.encode()[: len(unquote_to_bytes(found))]
        assert len(found) >= 120 or unquote_to_bytes(found) == value.encode()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        assert json.dumps(value).startswith(found)
    else:
        assert found == ""


@given(st.binary(max_size=10_000))
def test_sha256_is_hashlibs(content: bytes) -> None:
    assert sha256(content) == hashlib.sha256(content).digest()
