"""AES-256-GCM for secrets at rest.

A sealed value is `version (1 byte) | nonce (12) | ciphertext and tag`. Its associated data are the
version and the context, which names tenant, row and purpose: a value moved to another row, or put
to another use, does not open.
"""

import os
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crossdock.errors import ConfigurationError, CrossdockError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
VERSION: Final = b"\x01"


class SealBroken(CrossdockError):
    """A sealed value does not open: another key, another row, or damage."""


class Sealer:
    """Seals and opens with one key; neither key nor plaintext is ever in its text or its errors."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ConfigurationError(f"A sealing key has {KEY_BYTES} bytes, this one {len(key)}.")
        self._aead = AESGCM(key)

    @classmethod
    def from_text(cls, text: str | None, *, setting: str) -> "Sealer":
        """Return the sealer of a base64 key; `setting` is the name to use in errors.

        Raises:
            ConfigurationError: there is no key, or it isn't 32 bytes in base64.
        """
        return cls(key_from_text(text, setting=setting))

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        """Return `plaintext` sealed; only the same key and context open it."""
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + self._aead.encrypt(nonce, plaintext, VERSION + context)

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            SealBroken: the value was made by another key or for another context, or is damaged.
        """
        if sealed[:1] != VERSION or len(sealed) < 1 + NONCE_BYTES + TAG_BYTES:
            raise SealBroken("A sealed value is of no known version, or cut short.")
        nonce = sealed[1 : 1 + NONCE_BYTES]
        try:
            return self._aead.decrypt(nonce, sealed[1 + NONCE_BYTES :], VERSION + context)
        except InvalidTag:
            raise SealBroken from None

    def __repr__(self) -> str:
        return "Sealer(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A sealer stays in the process that was given its key.")


def key_from_text(text: str | None, *, setting: str) -> bytes:
    """Return the 32 bytes of a base64 key; `setting` is the name to use in errors.

    Raises:
        ConfigurationError: there is no key, or it isn't 32 bytes in base64.
    """
    if not text:
        raise ConfigurationError(
            f"{setting} is not set: give it {KEY_BYTES} random bytes in base64, for example "
            f"from `openssl rand -base64 {KEY_BYTES}`."
        )
    try:
        key = b64decode(text, validate=True)
    except (NotBase64, ValueError):
        # Not chained: the original error may quote its input.
        raise ConfigurationError(f"{setting} is not valid base64.") from None
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"{setting} holds {len(key)} bytes; AES-256 needs {KEY_BYTES}, in base64."
        )
    return key
