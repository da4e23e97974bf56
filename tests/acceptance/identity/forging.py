"""Access tokens made by hand, right and wrong ones, from the standard library and raw keys."""

import base64
import hashlib
import hmac
from typing import Any, Final, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

JSON: Final = msgspec.json


def pack(data: bytes) -> str:
    """Return base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpack(text: str) -> bytes:
    """Return what base64url stands for."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Token(NamedTuple):
    """A compact JWS, taken apart."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signature: bytes

    @classmethod
    def read(cls, text: str) -> "Token":
        """Take a token apart; check nothing."""
        header, claims, signature = text.split(".")
        return cls(JSON.decode(unpack(header)), JSON.decode(unpack(claims)), unpack(signature))

    def with_header(self, **changes: Any) -> "Token":
        """Return it with other header members; `None` leaves one out."""
        return self._replace(header=_changed(self.header, changes))

    def with_claims(self, **changes: Any) -> "Token":
        """Return it with other claims; `None` leaves one out."""
        return self._replace(claims=_changed(self.claims, changes))

    def signed(self, key: Ed25519PrivateKey) -> str:
        """Return it signed."""
        return f"{self.content}.{pack(key.sign(self.content.encode()))}"

    def hashed(self, secret: bytes) -> str:
        """Return it with an HMAC-SHA256 for a signature."""
        mac = hmac.digest(secret, self.content.encode(), hashlib.sha256)
        return f"{self.content}.{pack(mac)}"

    def unsigned(self) -> str:
        """Return it without a signature."""
        return f"{self.content}."

    def resigned(self) -> str:
        """Return it with the signature it had."""
        return f"{self.content}.{pack(self.signature)}"

    def signed_raw(self, key: Ed25519PrivateKey, claims: bytes) -> str:
        """Return it signed, with claims that are these bytes."""
        content = f"{pack(JSON.encode(self.header))}.{pack(claims)}"
        return f"{content}.{pack(key.sign(content.encode()))}"

    @property
    def content(self) -> str:
        """What is signed."""
        return f"{pack(JSON.encode(self.header))}.{pack(JSON.encode(self.claims))}"


def _changed(old: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (old | changes).items() if value is not None}
