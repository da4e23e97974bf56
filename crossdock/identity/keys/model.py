"""What crosses the boundary of signing keys."""

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

Algorithm = Literal["EdDSA", "ES256"]
"""Ed25519 (RFC 8037), and ECDSA on P-256 with SHA-256 (RFC 7518)."""

LONGEST_S: Final = 8 * 3600.0
"""No token lives longer: a key is published for so long after it stopped signing."""

LEEWAY_S: Final = 5.0
"""By how much the clocks of those who issue and those who read may differ."""

Phase = Literal["published", "signing", "retiring", "retired"]


class StoredKey(msgspec.Struct, frozen=True):
    """A signing key as its row has it."""

    id: str
    """The `kid`: the key's own thumbprint (RFC 7638)."""
    algorithm: str
    public: dict[str, Any]
    private_sealed: bytes | None
    """None once it is retired."""
    signs_from: datetime
    ends_at: datetime | None
    """When nothing that it signed is worth anything any more."""
    created_at: datetime


class SigningKey(msgspec.Struct, frozen=True):
    """A signing key, ready for use."""

    kid: str
    algorithm: Algorithm
    public: Any
    """What verifies: a public key of joserfc, without its private part."""
    private: Any
    """What signs."""
    jwk: dict[str, Any]
    """What is published of it."""
    signs_from: float
    """Unix seconds, as are all times here."""
    ends_at: float | None

    def __repr__(self) -> str:
        return f"SigningKey({self.kid}, {self.algorithm})"


class KeyInfo(msgspec.Struct, frozen=True):
    """A signing key as operators see it."""

    kid: str
    algorithm: str
    phase: Phase
    created_at: datetime
    signs_from: datetime
    ends_at: datetime | None
