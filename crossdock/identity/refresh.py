"""The text of refresh tokens, and which follows which.

A refresh token reads `cdr_{environment}_{id}_{secret}{checksum}`, like an API key; its id is the
tenant's and the session's. It is used once, and its answer carries the successor. A client that
lost that answer asks again and must be given the same successor, so it is computed from its parent
and not stored: only hashes are.
"""

import hmac
import os
from typing import Final
from uuid import UUID

import msgspec

from crossdock.access import tokentext
from crossdock.access.tokentext import TokenForm
from crossdock.secrets.derive import derive
from crossdock.secrets.seal import key_from_text

_FORM: Final = TokenForm("cdr")
_LABEL: Final = "crossdock refresh token successor 1"


class RefreshToken(msgspec.Struct, frozen=True):
    """A refresh token as its holder has it."""

    tenant_id: UUID
    session_id: UUID
    secret: bytes

    @property
    def hash(self) -> bytes:
        """What is stored of it."""
        return tokentext.secret_hash(self.secret)

    def format(self, environment: str) -> str:
        """Return its text.

        Raises:
            ConfigurationError: the environment's name has no place in a token.
        """
        return _FORM.format(environment, self.tenant_id, self.session_id, self.secret)

    def __repr__(self) -> str:
        return f"RefreshToken({self.tenant_id}, {self.session_id}, ***)"


def parse(text: str, environment: str) -> RefreshToken:
    """Return the token behind its text; nothing is known yet of whether it exists.

    Raises:
        Unauthenticated: it is no refresh token, mistyped, or another environment's.
    """
    return RefreshToken(*_FORM.parse(text, environment))


def first(tenant_id: UUID, session_id: UUID, *, secret: bytes | None = None) -> RefreshToken:
    """Return the first token of a session: 256 random bits unless they are given."""
    chance = os.urandom(tokentext.SECRET_BYTES) if secret is None else secret
    return RefreshToken(tenant_id, session_id, chance)


class Successors:
    """Computes which token follows one; needs a key, so that a thief of hashes or texts can't.

    Whoever holds a token still learns its successor only from us, within the rules.
    """

    __slots__ = ("_key",)

    def __init__(self, identity_key: bytes) -> None:
        self._key = derive(identity_key, _LABEL)

    @classmethod
    def from_text(cls, text: str | None, *, setting: str) -> "Successors":
        """Return what a base64 key gives; `setting` is the name to use in errors.

        Raises:
            ConfigurationError: there is no key, or it isn't 32 bytes in base64.
        """
        return cls(key_from_text(text, setting=setting))

    def of(self, parent: RefreshToken) -> RefreshToken:
        """Return the one token that follows this one."""
        secret = hmac.digest(self._key, parent.secret + parent.session_id.bytes, "sha256")
        return RefreshToken(parent.tenant_id, parent.session_id, secret)

    def __repr__(self) -> str:
        return "Successors(***)"
