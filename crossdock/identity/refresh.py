"""The text of refresh tokens, and which follows which.

A refresh token reads `cdr_{environment}_{id}_{secret}{checksum}`, like an API key; its id is the
tenant's and the session's. It is used once, and its answer carries the successor. A client that
lost that answer asks again and must be given the same successor, so it is computed from its parent
and not stored: only hashes are.
"""

import hmac
from typing import Final

from crossdock.access.tokentext import Token, TokenForm
from crossdock.secrets.derive import derive
from crossdock.secrets.seal import key_from_text

_LABEL: Final = "crossdock refresh token successor 1"


class RefreshToken(Token, frozen=True):
    """A refresh token as its holder has it; its id is the session's."""

    FORM = TokenForm("cdr")


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
        secret = hmac.digest(self._key, parent.secret + parent.id.bytes, "sha256")
        return RefreshToken(parent.tenant_id, parent.id, secret)

    def __repr__(self) -> str:
        return "Successors(***)"
