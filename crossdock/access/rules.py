"""Permissions, and the text of an API key.

A key reads `cdk_{environment}_{id}_{secret}`. The id part is the tenant's id and the key's, so that
the tenant is entered before the key is looked up and no table of keys spans tenants. The secret
part is 256 random bits and a CRC-32 of everything before it: with the checksum a scanner tells a
leaked key from noise, and junk is refused here without a look-up. It guards nothing; the secret
does.

Stored is the SHA-256 of the secret. A slow hash such as argon2 is for what people choose: it makes
each guess dear where there are few to make. 256 random bits can't be guessed at any speed, and a
slow hash on every request would only be a way to exhaust the gateway.
"""

import hashlib
import hmac
import re
import zlib
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from crossdock.access.model import Principal
from crossdock.errors import (
    ConfigurationError,
    Forbidden,
    Invalid,
    TenantSuspended,
    Unauthenticated,
    Violation,
)

PERMISSIONS: Final = frozenset(
    f"{resource}:{action}"
    for resource, actions in {
        "api-keys": ("read", "write"),
        "dead-letters": ("read",),
        "deliveries": ("read", "write"),
        "destinations": ("read", "write"),
        "events": ("read",),
        "replays": ("read", "write"),
        "sources": ("read", "write"),
        "tenant": ("read",),
    }.items()
    for action in actions
)
"""Everything a key can be allowed to do, as `resource:action`."""

MAX_PERMISSIONS: Final = 64
"""On one key; there are fewer, so this only bounds what is read."""

SECRET_BYTES: Final = 32
LAST_USED_GRAIN: Final = timedelta(minutes=5)
"""How coarse `last_used_at` is: it costs a write, and nobody needs it to the second."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = {character: value for value, character in enumerate(_ALPHABET)}
_ID_CHARACTERS: Final = 43
_SECRET_CHARACTERS: Final = 43
_CHECKSUM_CHARACTERS: Final = 6
_ENVIRONMENT: Final = re.compile(r"[a-z]{1,16}")
_KEY: Final = re.compile(
    rf"cdk_(?P<environment>[a-z]{{1,16}})_(?P<id>[0-9A-Za-z]{{{_ID_CHARACTERS}}})"
    rf"_(?P<secret>[0-9A-Za-z]{{{_SECRET_CHARACTERS}}})"
    rf"(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_CHARACTERS}}})",
    re.ASCII,
)


class KeyText(msgspec.Struct, frozen=True):
    """An API key as its holder has it."""

    tenant_id: UUID
    key_id: UUID
    secret: bytes

    @property
    def secret_hash(self) -> bytes:
        """What is stored of the secret."""
        return hashlib.sha256(self.secret).digest()

    def matches(self, secret_hash: bytes) -> bool:
        """Tell whether this key's secret is the stored one, in constant time."""
        return hmac.compare_digest(self.secret_hash, secret_hash)

    def format(self, environment: str) -> str:
        """Return the text of the key.

        Raises:
            ConfigurationError: the environment's name has no place in a key.
        """
        if _ENVIRONMENT.fullmatch(environment) is None:
            raise ConfigurationError(
                f"environment={environment!r}: 1 to 16 lower-case letters, as part of API keys."
            )
        ids = _base62(self.tenant_id.bytes + self.key_id.bytes, _ID_CHARACTERS)
        head = f"cdk_{environment}_{ids}_{_base62(self.secret, _SECRET_CHARACTERS)}"
        return head + _checksum(head)


def parse(text: str, environment: str) -> KeyText:
    """Return the key behind its text; nothing is known yet of whether it exists.

    Raises:
        Unauthenticated: it is no key, mistyped, or another environment's. All alike: the answer
            teaches nothing about keys.
    """
    match = _KEY.fullmatch(text)
    if match is None or match["environment"] != environment:
        raise Unauthenticated
    if match["checksum"] != _checksum(text[:-_CHECKSUM_CHARACTERS]):
        raise Unauthenticated
    try:
        ids = _from_base62(match["id"])
        secret = _from_base62(match["secret"])
    except OverflowError as error:
        raise Unauthenticated from error
    return KeyText(UUID(bytes=ids[:16]), UUID(bytes=ids[16:]), secret)


def check_permissions(wanted: frozenset[str], held: frozenset[str]) -> None:
    """Check that a key may be made with these permissions by somebody who holds those.

    Raises:
        Invalid: one of them does not exist, or there are none.
        Forbidden: one of them is not the maker's to give.
    """
    unknown = sorted(wanted - PERMISSIONS)
    if unknown or not wanted:
        raise Invalid(
            "A key needs permissions that exist.",
            *(Violation("/permissions", f"{name!r} is no permission.") for name in unknown),
            *(() if wanted else (Violation("/permissions", "Name at least one."),)),
        )
    if missing := sorted(wanted - held):
        raise Forbidden(f"Nobody grants what they do not hold: {', '.join(missing)}.")


def authorise(principal: Principal, wanted: frozenset[str]) -> None:
    """Check that a principal may do what needs these permissions.

    Raises:
        Forbidden: it lacks one of them.
        TenantSuspended: its tenant is not active, and this would change something.
    """
    if missing := sorted(wanted - principal.permissions):
        raise Forbidden(f"This key lacks the permission {', '.join(missing)}.")
    if principal.tenant_state != "active" and any(not name.endswith(":read") for name in wanted):
        raise TenantSuspended


def check_end(expires_at: datetime, now: datetime) -> None:
    """Check that a key can end at that moment.

    Raises:
        Invalid: it has passed, or lies outside of UTC's calendar, where the database can't follow.
    """
    try:
        passed = expires_at.astimezone(UTC) <= now
    except OverflowError as error:
        raise Invalid(None, Violation("/expires_at", "That moment is too far away.")) from error
    if passed:
        raise Invalid(None, Violation("/expires_at", "That moment has passed."))


def is_live(*, now: datetime, expires_at: datetime | None, revoked_at: datetime | None) -> bool:
    """Tell whether a key still opens anything."""
    return revoked_at is None and (expires_at is None or now < expires_at)


def is_use_news(last_used_at: datetime | None, now: datetime) -> bool:
    """Tell whether a use of a key is worth writing down."""
    return last_used_at is None or now - last_used_at > LAST_USED_GRAIN


def _checksum(text: str) -> str:
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
