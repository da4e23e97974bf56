"""Tokens that are wrong in every way that verifiers were ever fooled by.

After Project Wycheproof's sets for JSON Web Signatures, RFC 8725 and published weaknesses of
libraries. Each row is the one thing that is wrong; where it can be, the signature is right, by the
very key that the token names. Whatever it is, the answer is `Unauthenticated`: no other error, no
other words.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crossdock import ids
from crossdock.errors import Unauthenticated
from crossdock.identity.tokens import MAX_CHARACTERS, Claims, Issuer, Verifier
from tests.beds import tokens
from tests.beds.tokens import Ring, encode, header_of, sign

NOW: Final = 1_790_000_000.5
URL: Final = "https://crossdock.example"
ED: Final = tokens.key("EdDSA")
ES: Final = tokens.key("ES256")
STRANGER: Final = tokens.key("EdDSA")
RING: Final = Ring(ED, ES)
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER: Final = 2**252 + 27742317777372353535851937790883648493

PAYLOAD: Final[dict[str, Any]] = {
    "iss": URL,
    "aud": "crossdock:test",
    "sub": ids.encode("usr", ids.new()),
    "tid": ids.encode("ten", ids.new()),
    "sid": ids.encode("ses", ids.new()),
    "jti": "one",
    "iat": NOW,
    "nbf": int(NOW),
    "exp": int(NOW) + 600,
    "roles": ["developer"],
}
BODY: Final = msgspec.json.encode(PAYLOAD)
HEAD: Final = header_of(ED)
GOOD: Final = sign(ED, HEAD, BODY)
GOOD_ES: Final = sign(ES, header_of(ES), BODY)


def verify(text: str) -> Claims:
    return Verifier(RING, public_url=URL, environment="test", clock=lambda: NOW).verify(text)


def with_header(**members: Any) -> str:
    return sign(ED, header_of(ED, **members), BODY)


def with_payload(**members: Any) -> str:
    whole = PAYLOAD | members
    kept = {name: value for name, value in whole.items() if value is not ...}
    return sign(ED, HEAD, msgspec.json.encode(kept))


def signed_by_mac(algorithm: str, secret: bytes) -> str:
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    text = f"{encode(header_of(ED, alg=algorithm))}.{encode(BODY)}"
    return f"{text}.{encode(hmac.new(secret, text.encode(), digest).digest())}"


def public_forms() -> Iterator[tuple[str, bytes]]:
    raw = ED.public.public_key
    yield "raw", raw.public_bytes(Encoding.Raw, PublicFormat.Raw)
    yield "pem", raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield "der", raw.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield "jwk", msgspec.json.encode(ED.jwk)
    yield "empty", b""


def with_signature(change: Callable[[bytes], bytes], text: str = GOOD) -> str:
    head, body, signature = text.split(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    return f"{head}.{body}.{encode(change(raw))}"


def with_scalar_beyond_its_order(raw: bytes) -> bytes:
    """Ed25519's S + L: what RFC 8032 §5.1.7 has verifiers refuse."""
    scalar = int.from_bytes(raw[32:], "little") + ED25519_ORDER
    return raw[:32] + scalar.to_bytes(32, "little")


def der(raw: bytes) -> bytes:
    def integer(part: bytes) -> bytes:
        body = part.lstrip(b"\0")
        body = b"\0" + body if body[0] & 0x80 else body
        return b"\x02" + bytes([len(body)]) + body

    inner = integer(raw[:32]) + integer(raw[32:])
    return b"\x30" + bytes([len(inner)]) + inner


def parts(text: str = GOOD) -> list[str]:
    return text.split(".")


def twice(member: str, value: Any, *, last: bool) -> bytes:
    """Return the payload with one member twice, once as it should be."""
    extra = msgspec.json.encode({member: value})[1:-1]
    return BODY[:-1] + b"," + extra + b"}" if last else b"{" + extra + b"," + BODY[1:]


def left_over_bits(part: str) -> str:
    """Return a part that decodes to the same bytes and is written otherwise."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(part) % 4 in {2, 3}
    return part[:-1] + alphabet[alphabet.index(part[-1]) | 1]


def json_serialised(*, flattened: bool) -> str:
    head, body, signature = parts()
    one = {"protected": head, "signature": signature}
    whole = {"payload": body, **one} if flattened else {"payload": body, "signatures": [one]}
    return msgspec.json.encode(whole).decode()


SIGNED_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "alg none": {"alg": "none"},
    "alg None": {"alg": "None"},
    "alg NONE": {"alg": "NONE"},
    "alg nOnE": {"alg": "nOnE"},
    "alg missing": {"alg": None},
    "alg empty": {"alg": ""},
    "alg of another case": {"alg": "eddsa"},
    "alg with a blank": {"alg": "EdDSA "},
    "alg Ed25519": {"alg": "Ed25519"},
    "alg Ed448": {"alg": "Ed448"},
    "alg ES256 for an Ed25519 key": {"alg": "ES256"},
    "alg ES384": {"alg": "ES384"},
    "alg ES256K": {"alg": "ES256K"},
    "alg RS256": {"alg": "RS256"},
    "alg PS256": {"alg": "PS256"},
    "alg is a number": {"alg": 1},
    "alg is a list": {"alg": ["EdDSA"]},
    "alg is true": {"alg": True},
    "typ missing": {"typ": None},
    "typ JWT": {"typ": "JWT"},
    "typ of another case": {"typ": "AT+JWT"},
    "typ with its long name": {"typ": "application/at+jwt"},
    "typ of a security event": {"typ": "secevent+jwt"},
    "typ is a list": {"typ": ["at+jwt"]},
    "crit of nothing": {"crit": []},
    "crit of what is there": {"crit": ["alg"]},
    "crit of exp": {"crit": ["exp"], "exp": 1},
    "crit of what is missing": {"crit": ["b64"]},
    "crit is a number": {"crit": 1},
    "crit is text": {"crit": "b64"},
    "b64 true": {"b64": True},
    "b64 false": {"b64": False, "crit": ["b64"]},
    "jku": {"jku": "https://crossdock.example/.well-known/jwks.json"},
    "jku of elsewhere": {"jku": "https://attacker.example/jwks.json"},
    "jwk of the right key": {"jwk": ED.jwk},
    "jwk of another": {"jwk": STRANGER.jwk},
    "x5u": {"x5u": "https://attacker.example/chain.pem"},
    "x5c": {"x5c": ["MIIB"]},
    "x5t": {"x5t": "AAAA"},
    "x5t#S256": {"x5t#S256": "AAAA"},
    "cty JWT": {"cty": "JWT"},
    "zip": {"zip": "DEF"},
    "enc": {"enc": "A256GCM"},
    "a member of its own": {"foo": "bar"},
    "kid missing": {"kid": None},
    "kid empty": {"kid": ""},
    "kid is a number": {"kid": 1},
    "kid is a list": {"kid": [ED.kid]},
    "kid of nobody": {"kid": "A" * 43},
    "kid of another's key": {"kid": STRANGER.kid},
    "kid of the other key": {"kid": ES.kid},
    "kid with a blank": {"kid": ED.kid + " "},
    "kid with a NUL": {"kid": ED.kid + "\0"},
    "kid of another case": {"kid": ED.kid.swapcase()},
    "kid is a path": {"kid": "../../../../dev/null"},
    "kid is a path in Windows": {"kid": "..\\..\\nul"},
    "kid is an absolute path": {"kid": "/proc/sys/kernel/randomize_va_space"},
    "kid is a URL": {"kid": "https://attacker.example/key"},
    "kid is SQL": {"kid": "' UNION SELECT 'AAAA' -- "},
    "kid is a command": {"kid": "key|whoami"},
    "kid is very long": {"kid": "A" * 3000},
}

SIGNED_PAYLOADS: Final[dict[str, dict[str, Any]]] = {
    **{f"{name} missing": {name: ...} for name in PAYLOAD},
    **{f"{name} null": {name: None} for name in PAYLOAD},
    **{f"{name} is an object": {name: {}} for name in PAYLOAD},
    **{f"{name} is true": {name: True} for name in PAYLOAD},
    **{f"{name} is text": {name: "1790000000"} for name in ("iat", "nbf", "exp", "roles")},
    **{f"{name} is a number": {name: 1} for name in ("iss", "aud", "sub", "tid", "sid", "jti")},
    "iss of elsewhere": {"iss": "https://attacker.example"},
    "iss with a slash": {"iss": URL + "/"},
    "iss of another case": {"iss": URL.upper()},
    "aud of another environment": {"aud": "crossdock:prod"},
    "aud is a list with the right one": {"aud": ["crossdock:test"]},
    "aud is two": {"aud": ["crossdock:test", "crossdock:prod"]},
    "aud begins alike": {"aud": "crossdock:test2"},
    "sub is a tenant's id": {"sub": PAYLOAD["tid"]},
    "sub is a bare UUID": {"sub": "01a20756-ef21-7122-923b-07deec5aeea7"},
    "sub is empty": {"sub": ""},
    "tid is a user's id": {"tid": PAYLOAD["sub"]},
    "sid is a support access without an actor": {"sid": ids.encode("sup", ids.new())},
    "jti is empty": {"jti": ""},
    "jti is very long": {"jti": "x" * 65},
    "exp has passed": {"exp": int(NOW) - 60, "iat": NOW - 660, "nbf": int(NOW) - 660},
    "exp before iat": {"exp": int(NOW) - 1},
    "exp a fraction": {"exp": NOW + 600.5},
    "exp in milliseconds": {"exp": (int(NOW) + 600) * 1000},
    "exp huge": {"exp": 2**63},
    "exp beyond any life": {"exp": int(NOW) + 10**6},
    "exp negative": {"exp": -1},
    "nbf in the future": {"nbf": int(NOW) + 60},
    "iat in the future": {"iat": NOW + 60, "nbf": int(NOW) + 60},
    "iat long ago": {"iat": NOW - 10**6},
    "iat infinite": {"iat": 1e308},
    "roles is a word": {"roles": "owner"},
    "roles of numbers": {"roles": [1]},
    "roles without end": {"roles": ["developer"] * 65},
    "role without a name": {"roles": [""]},
    "act without support": {"act": {"sub": PAYLOAD["sub"]}},
    "act is somebody else": {
        "act": {"sub": ids.encode("usr", ids.new())},
        "sid": ids.encode("sup", ids.new()),
    },
    "act is text": {"act": "operator", "sid": ids.encode("sup", ids.new())},
    "act of nobody": {"act": {}, "sid": ids.encode("sup", ids.new())},
}

TEXTS: Final[dict[str, str]] = {
    "nothing": "",
    "a word": "token",
    "dots": "..",
    "one part": parts()[0],
    "two parts": ".".join(parts()[:2]),
    "four parts": GOOD + "." + parts()[2],
    "five parts, as JWE has": ".".join([*parts(), "", ""]),
    "a dot at the end": GOOD + ".",
    "a dot at the beginning": "." + GOOD,
    "no header": "." + ".".join(parts()[1:]),
    "no payload, as if detached": f"{parts()[0]}..{parts()[2]}",
    "no signature": f"{parts()[0]}.{parts()[1]}.",
    "alg none without a signature": f"{encode(header_of(ED, alg='none'))}.{encode(BODY)}.",
    "alg none with one": f"{encode(header_of(ED, alg='none'))}.{encode(BODY)}.{parts()[2]}",
    "a line break at the end": GOOD + "\n",
    "a line break within": GOOD[:40] + "\n" + GOOD[40:],
    "a blank before": " " + GOOD,
    "Bearer before": "Bearer " + GOOD,
    "a NUL after": GOOD + "\0",
    "padding": GOOD + "=",
    "padding in the header": f"{parts()[0]}=.{parts()[1]}.{parts()[2]}",
    "percent-encoded": GOOD.replace(".", "%2E"),
    "not ASCII": GOOD + "é",
    "full-width letters": GOOD.replace("e", "\uff45", 1),
    "a surrogate": GOOD + "\ud800",
    "the alphabet of plain base64": ".".join(
        [*parts()[:2], base64.b64encode(b"\xfb\xff" * 32).decode().rstrip("=")]
    ),
    "JSON, flattened": json_serialised(flattened=True),
    "JSON, general": json_serialised(flattened=False),
    "too long": f"{parts()[0]}.{encode(b' ' * MAX_CHARACTERS)}.{parts()[2]}",
    "much too long": "a" * 10_000_000,
    "nested in another": sign(ED, HEAD, GOOD.encode()),
    "nested, and says so": sign(ED, header_of(ED, cty="JWT"), GOOD.encode()),
    "signed by another's key under our kid": sign(STRANGER, HEAD, BODY),
    "signed by our other key under this kid": sign(ES, HEAD, BODY),
    "an Ed25519 signature that says ES256": sign(ED, header_of(ES), BODY),
    "another payload's signature": ".".join(
        [parts()[0], parts(with_payload(jti="b"))[1], parts()[2]]
    ),
    "another header's signature": ".".join([encode(header_of(ES)), *parts()[1:]]),
    "signature of nothing": with_signature(lambda _: b"\0"),
    "signature all zero": with_signature(lambda _: bytes(64)),
    "signature cut short": with_signature(lambda raw: raw[:-1]),
    "signature with a byte more": with_signature(lambda raw: raw + b"\0"),
    "signature twice": with_signature(lambda raw: raw * 2),
    "signature with one bit turned": with_signature(lambda raw: bytes([raw[0] ^ 1]) + raw[1:]),
    "Ed25519 scalar beyond its order": with_signature(with_scalar_beyond_its_order),
    "Ed25519 identity point and zero": with_signature(lambda _: b"\x01" + bytes(63)),
    "ES256 of zeros": with_signature(lambda _: bytes(64), GOOD_ES),
    "ES256 r is zero": with_signature(lambda raw: bytes(32) + raw[32:], GOOD_ES),
    "ES256 s is zero": with_signature(lambda raw: raw[:32] + bytes(32), GOOD_ES),
    "ES256 r and s are the order": with_signature(
        lambda _: P256_ORDER.to_bytes(32, "big") * 2, GOOD_ES
    ),
    "ES256 all ones": with_signature(lambda _: b"\xff" * 64, GOOD_ES),
    "ES256 r and s change places": with_signature(lambda raw: raw[32:] + raw[:32], GOOD_ES),
    "ES256 in DER": with_signature(der, GOOD_ES),
    "ES256 with s of 33 bytes": with_signature(lambda raw: raw[:32] + b"\0" + raw[32:], GOOD_ES),
    "header is no JSON": sign(ED, b"header", BODY),
    "header is a list": sign(ED, b'["alg"]', BODY),
    "header is text": sign(ED, b'"alg"', BODY),
    "header is null": sign(ED, b"null", BODY),
    "header is empty": sign(ED, b"{}", BODY),
    "header is no UTF-8": sign(ED, b'{"alg":"\xff\xfe"}', BODY),
    "header with a byte order mark": sign(ED, b"\xef\xbb\xbf" + HEAD, BODY),
    "header with a blank": sign(ED, HEAD.replace(b":", b": ", 1), BODY),
    "header in UTF-16": sign(ED, HEAD.decode().encode("utf-16"), BODY),
    "header with a comment": sign(ED, HEAD[:-1] + b"/**/}", BODY),
    "header goes on after its end": sign(ED, HEAD + b"{}", BODY),
    "header is deep": sign(ED, b"[" * 180, BODY),
    "header is very deep": f"{encode(b'[' * 2500)}.{parts()[1]}.{parts()[2]}",
    "alg twice, none first": sign(ED, b'{"alg":"none",' + HEAD[1:], BODY),
    "alg twice, none last": sign(ED, HEAD[:-1] + b',"alg":"none"}', BODY),
    "alg twice, alike": sign(ED, HEAD[:-1] + b',"alg":"EdDSA"}', BODY),
    "kid twice": sign(ED, b'{"kid":"x",' + HEAD[1:], BODY),
    "alg's name in escapes": sign(ED, HEAD.replace(b'"alg"', rb'"\u0061lg"'), BODY),
    "alg's value in escapes": sign(ED, HEAD.replace(b'"EdDSA"', rb'"\u0045dDSA"'), BODY),
    "payload is no JSON": sign(ED, HEAD, b"payload"),
    "payload is empty": sign(ED, HEAD, b"{}"),
    "payload is a list": sign(ED, HEAD, b"[" + BODY + b"]"),
    "payload is null": sign(ED, HEAD, b"null"),
    "payload is no UTF-8": sign(ED, HEAD, BODY.replace(b"one", b"\xff")),
    "payload with a byte order mark": sign(ED, HEAD, b"\xef\xbb\xbf" + BODY),
    "payload goes on after its end": sign(ED, HEAD, BODY + b"}"),
    "payload is deep": sign(ED, HEAD, b"[" * 2500),
    "payload with NaN": sign(ED, HEAD, BODY.replace(str(NOW).encode(), b"NaN")),
    "payload with Infinity": sign(ED, HEAD, BODY.replace(str(NOW).encode(), b"Infinity")),
    "payload with a number without end": sign(
        ED, HEAD, BODY.replace(str(NOW).encode(), b"1" * 400)
    ),
    **{
        f"{member} twice, another {'last' if last else 'first'}": sign(
            ED, HEAD, twice(member, value, last=last)
        )
        for member, value in (
            ("exp", int(NOW) + 700),
            ("sub", ids.encode("usr", ids.new())),
            ("tid", ids.encode("ten", ids.new())),
            ("roles", ["owner"]),
            ("aud", "crossdock:prod"),
        )
        for last in (False, True)
    },
    **{
        f"HMAC by the public key as {form}, {algorithm}": signed_by_mac(algorithm, secret)
        for form, secret in public_forms()
        for algorithm in ("HS256", "HS512")
    },
    **{
        f"left over bits in part {number + 1}": ".".join(
            [*parts(text)[:number], left_over_bits(parts(text)[number]), *parts(text)[number + 1 :]]
        )
        for text in (GOOD, with_payload(jti="on"), with_payload(jti="o"))
        for number in range(3)
        if len(parts(text)[number]) % 4 in {2, 3}
    },
}

CASES: Final = {
    **TEXTS,
    **{f"header: {name}": with_header(**members) for name, members in SIGNED_HEADERS.items()},
    **{f"payload: {name}": with_payload(**members) for name, members in SIGNED_PAYLOADS.items()},
}


@pytest.mark.parametrize("name", CASES)
def test_a_malformed_token_is_refused_in_the_same_words(name: str) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        verify(CASES[name])
    assert str(refusal.value) == str(Unauthenticated())


def test_what_the_table_starts_from_is_good() -> None:
    assert len(CASES) > 200
    assert verify(GOOD) == verify(GOOD_ES)
    assert verify(with_payload(later="a member that is new")) == verify(GOOD)
    issuer = Issuer(RING, public_url=URL, environment="test")
    assert issuer.issue(verify(GOOD)) == GOOD
