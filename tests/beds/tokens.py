"""Signing keys without a database, and tokens put together by hand."""

import base64
import os
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from crossdock.identity.keys import SigningKey, rules
from crossdock.identity.keys.model import Algorithm, StoredKey
from crossdock.secrets.seal import Sealer

SEALER: Final = Sealer(os.urandom(32))
LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)


def key(
    algorithm: Algorithm = "EdDSA", *, signs_from: datetime = LONG_AGO, ends: float | None = None
) -> SigningKey:
    """Return a signing key; `ends` is in seconds after it signs."""
    made = rules.generate(SEALER, algorithm)
    ends_at = None if ends is None else signs_from + timedelta(seconds=ends)
    row = StoredKey(
        made.kid, algorithm, made.public, made.private_sealed, signs_from, ends_at, signs_from
    )
    return rules.opened(row, SEALER)


class Ring:
    """Keys in memory; the first signs."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = keys

    def current(self) -> SigningKey:
        """Return the key that signs."""
        return self.keys[0]

    def find(self, kid: str) -> SigningKey | None:
        """Return the key of that name."""
        return next((one for one in self.keys if one.kid == kid), None)


def encode(value: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def sign(signer: SigningKey, header: bytes, payload: bytes) -> str:
    """Return a JWS of these very bytes, with a signature that is right."""
    text = f"{encode(header)}.{encode(payload)}"
    raw: Any = signer.private.private_key
    if signer.algorithm == "EdDSA":
        return f"{text}.{encode(raw.sign(text.encode()))}"
    r, s = decode_dss_signature(raw.sign(text.encode(), ECDSA(SHA256())))
    return f"{text}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def header_of(signer: SigningKey, **members: Any) -> bytes:
    """Return the header as it should be, with members of one's own; `None` leaves one out."""
    whole = {"alg": signer.algorithm, "kid": signer.kid, "typ": "at+jwt"} | members
    return msgspec.json.encode({name: value for name, value in whole.items() if value is not None})
