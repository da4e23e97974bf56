"""The text of long-lived tokens, such as API keys: whose, which, a secret, a checksum.

`{prefix}_{environment}_{id}_{secret}{checksum}`. The id part is the tenant's id and the token's
own, so that the tenant is entered before the token is looked up and no table of tokens spans
tenants. The secret part is 256 random bits, the end a CRC-32 of everything before it: with the
checksum a scanner tells a leaked token from noise, and junk is refused here without a look-up. It
guards nothing; the secret does.

Stored is the SHA-256 of the secret. A slow hash such as argon2 is for what people choose: it makes
each guess dear where there are few to make. 256 random bits can't be guessed at any speed, and a
slow hash on every request would only be a way to exhaust the gateway.
"""

import hashlib
import hmac
import os
import re
import zlib
from typing import ClassVar, Final, Self
from uuid import UUID

import msgspec

from crossdock.errors import ConfigurationError, Unauthenticated

SECRET_BYTES: Final = 32

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = {character: value for value, character in enumerate(_ALPHABET)}
_BASE62_OF_32_BYTES: Final = 43
_CHECKSUM_CHARACTERS: Final = 6
_ENVIRONMENT: Final = re.compile(r"[a-z]{1,16}")


class TokenForm:
    """One kind of token, known by how its text begins."""

    __slots__ = ("_pattern", "prefix")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._pattern = re.compile(
            rf"{prefix}_(?P<environment>[a-z]{{1,16}})"
            rf"_(?P<id>[0-9A-Za-z]{{{_BASE62_OF_32_BYTES}}})"
            rf"_(?P<secret>[0-9A-Za-z]{{{_BASE62_OF_32_BYTES}}})"
            rf"(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_CHARACTERS}}})",
            re.ASCII,
        )

    def format(self, environment: str, tenant_id: UUID, own_id: UUID, secret: bytes) -> str:
        """Return the text of a token.

        Raises:
            ConfigurationError: the environment's name has no place in a token.
        """
        if _ENVIRONMENT.fullmatch(environment) is None:
            raise ConfigurationError(
                f"environment={environment!r}: 1 to 16 lower-case letters, as part of API keys."
            )
        ids = _base62(tenant_id.bytes + own_id.bytes, _BASE62_OF_32_BYTES)
        head = f"{self.prefix}_{environment}_{ids}_{_base62(secret, _BASE62_OF_32_BYTES)}"
        return head + checksum(head)

    def parse(self, text: str, environment: str) -> tuple[UUID, UUID, bytes]:
        """Return tenant, id and secret; nothing is known yet of whether the token exists.

        Raises:
            Unauthenticated: it is no such token, mistyped, or another environment's.
        """
        match = self._pattern.fullmatch(text)
        if match is None or match["environment"] != environment:
            raise Unauthenticated
        if match["checksum"] != checksum(text[:-_CHECKSUM_CHARACTERS]):
            raise Unauthenticated
        try:
            ids = _from_base62(match["id"])
            secret = _from_base62(match["secret"])
        except OverflowError as error:
            raise Unauthenticated from error
        return UUID(bytes=ids[:16]), UUID(bytes=ids[16:]), secret


class Token(msgspec.Struct, frozen=True):
    """A token as its holder has it. Each kind is a class of its own, with its own `FORM`."""

    FORM: ClassVar[TokenForm]

    tenant_id: UUID
    id: UUID
    """Its own, or that of what it opens."""
    secret: bytes

    @classmethod
    def new(cls, tenant_id: UUID, own_id: UUID) -> Self:
        """Return one with a secret of 256 random bits."""
        return cls(tenant_id, own_id, os.urandom(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str, environment: str) -> Self:
        """Return the token behind its text; nothing is known yet of whether it exists.

        Raises:
            Unauthenticated: it is no such token, mistyped, or another environment's. All alike:
                the answer teaches nothing about tokens.
        """
        return cls(*cls.FORM.parse(text, environment))

    def format(self, environment: str) -> str:
        """Return its text.

        Raises:
            ConfigurationError: the environment's name has no place in a token.
        """
        return self.FORM.format(environment, self.tenant_id, self.id, self.secret)

    @property
    def hash(self) -> bytes:
        """What is stored of it."""
        return hashlib.sha256(self.secret).digest()

    def matches(self, stored: bytes) -> bool:
        """Tell whether it is the one whose hash is stored, in constant time."""
        return hmac.compare_digest(self.hash, stored)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.tenant_id}, {self.id}, ***)"


def checksum(text: str) -> str:
    """Return the six characters that end a token whose text so far is this."""
    return _base62(zlib.crc32(text.encode("ascii")).to_bytes(4, "big"), _CHECKSUM_CHARACTERS)


def _base62(raw: bytes, width: int) -> str:
    number = int.from_bytes(raw, "big")
    characters = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))


def _from_base62(text: str) -> bytes:
    number = 0
    for character in text:
        number = number * 62 + _DIGITS[character]
    return number.to_bytes(SECRET_BYTES, "big")
