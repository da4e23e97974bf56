"""What is kept of keys, requests and answers, so that it tells a thief of the rows nothing.

Digests and fingerprints are keyed. A plain hash of a body would be a plain hash of the password in
it, for whoever reads the database to guess at; and keys are often a customer's or an order's name.
"""

import hashlib
import zlib
from typing import Final
from uuid import UUID

import msgspec

from crossdock.idempotency.model import Answer, Claim, Stored
from crossdock.secrets.derive import derive
from crossdock.secrets.seal import Sealer, key_from_text

DIGEST_BYTES: Final = 32

LARGE: Final = 1024
"""Bytes from which on an answer is compressed."""

_PLAIN: Final = b"\x00"
_PACKED: Final = b"\x01"
_LABEL: Final = "crossdock idempotency 1"
_DIGEST: Final = b"digest"
_FINGERPRINT: Final = b"fingerprint"

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Stored)


class Vault:
    """Digests, fingerprints and seals, all by the key `keys.answers`."""

    __slots__ = ("_key", "_sealer")

    def __init__(self, key: bytes) -> None:
        self._key = derive(key, _LABEL)
        self._sealer = Sealer(key)

    @classmethod
    def from_text(cls, text: str | None, *, setting: str) -> "Vault":
        """Return what a base64 key gives; `setting` is the name to use in errors.

        Raises:
            ConfigurationError: there is no key, or it isn't 32 bytes in base64.
        """
        return cls(key_from_text(text, setting=setting))

    def digest(self, tenant_id: UUID, scope: str, key: str) -> bytes:
        """Return what a key is filed under: the same key in another scope is another one."""
        return self._hash(_DIGEST, tenant_id.bytes, scope.encode(), key.encode())

    def fingerprint(self, *parts: bytes) -> bytes:
        """Return what tells a request from another one."""
        return self._hash(_FINGERPRINT, *parts)

    def seal(self, claim: Claim, answer: Answer) -> bytes:
        """Return an answer sealed for its claim; it opens for no other."""
        stored = _encoder.encode(Stored(claim.fingerprint, answer))
        return self._sealer.seal(_pack(claim, stored), context=_context(claim))

    def open(self, claim: Claim, sealed: bytes) -> Stored:
        """Return what was sealed.

        Raises:
            SealBroken: it was sealed by another key or for another claim, or is damaged.
        """
        return _decoder.decode(_unpack(self._sealer.open(sealed, context=_context(claim))))

    def _hash(self, purpose: bytes, *parts: bytes) -> bytes:
        # With their lengths: no two lists of parts run into the same bytes.
        text = b"".join(len(part).to_bytes(8) + part for part in parts)
        return hashlib.blake2b(
            text, key=self._key, person=purpose, digest_size=DIGEST_BYTES
        ).digest()

    def __repr__(self) -> str:
        return "Vault(***)"


def _pack(claim: Claim, stored: bytes) -> bytes:
    """Return what is stored, smaller if it is large.

    An answer about a hundred things says most of it a hundred times. One that holds a secret is
    left alone, for its length would tell of it.
    """
    if len(stored) <= LARGE or claim.is_secret:
        return _PLAIN + stored
    return _PACKED + zlib.compress(stored, level=1)


def _unpack(packed: bytes) -> bytes:
    kind, rest = packed[:1], packed[1:]
    return zlib.decompress(rest) if kind == _PACKED else rest


def _context(claim: Claim) -> bytes:
    return b"idempotency" + claim.tenant_id.bytes + claim.digest
