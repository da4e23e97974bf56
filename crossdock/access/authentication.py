"""From the text of an API key to who is asking."""

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

import msgspec
from msgspec.structs import replace

from crossdock.access import rules, store
from crossdock.access.model import Actor, Principal, StoredKey
from crossdock.access.permissions import BUILT_IN
from crossdock.access.roles import store as role_store
from crossdock.access.roles.rules import resolve
from crossdock.db import Databases
from crossdock.errors import NotFound, Unauthenticated
from proto.settings import TenantSettings

CACHE_S: Final = 0.75
"""How long a verified key is believed. What was revoked is refused within a second, so this leaves
a quarter of one for a request on its way."""

CACHE_KEYS: Final = 10_000
"""How many verified keys a process remembers; the oldest goes first."""


class Memory(Protocol):
    """What this needs of `crossdock.directory.Directory`, and what it promises there."""

    def tenant(self, tenant_id: UUID) -> TenantSettings | None:
        """Return what is known of a tenant."""

    def is_current(self, shard: int) -> bool:
        """Tell whether what is known of a shard is not older than a second."""


class _Remembered(msgspec.Struct, frozen=True):
    until: float
    principal: Principal


class Authenticator:
    """Verifies API keys, remembering each good one for less than a second.

    The state of a key's tenant is asked every time, of this process's memory while that is current.

    Refusals are not remembered: text with a wrong checksum or environment costs no look-up anyway.
    What is remembered is found by a hash of the key, so that no key lies about in memory.
    """

    def __init__(
        self,
        database: Databases,
        *,
        environment: str,
        memory: Memory | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._environment = environment
        self._memory = memory
        self._clock = clock
        self._monotonic = monotonic
        self._remembered: dict[bytes, _Remembered] = {}

    def knows(self, text: str) -> bool:
        """Tell whether a key was good when it was last verified here, a short while ago."""
        return hashlib.sha256(text.encode()).digest() in self._remembered

    async def verify(self, text: str) -> Principal:
        """Return the principal behind a key.

        Raises:
            Unauthenticated: no key, mistyped, another environment's, unknown, revoked, expired, or
                its tenant is gone. The answer is the same for all.
        """
        digest = hashlib.sha256(text.encode()).digest()
        found = self._remembered.get(digest)
        if found is not None and self._monotonic() < found.until:
            return self._by_now(found.principal)
        key = rules.KeyText.parse(text, self._environment)
        now, began = self._clock(), self._monotonic()
        try:
            stored, permissions = await self._look_up(key, now)
        except Unauthenticated:
            self._remembered.pop(digest, None)
            raise
        principal = Principal(
            tenant_id=key.tenant_id,
            tenant_state=stored.tenant_state,
            actor=Actor("key", key.id),
            permissions=permissions,
            requests_per_minute=stored.requests_per_minute,
        )
        life = CACHE_S
        if stored.expires_at is not None:
            life = min(life, (stored.expires_at - now).total_seconds())
        self._remember(digest, _Remembered(began + life, principal))
        return self._by_now(principal)

    def _by_now(self, principal: Principal) -> Principal:
        """Return a principal with its tenant's state of this moment, as far as that is known."""
        if self._memory is None:
            return principal
        settings = self._memory.tenant(principal.tenant_id)
        if settings is None or settings.state == principal.tenant_state:
            return principal
        if not self._memory.is_current(settings.shard):
            return principal
        if settings.state == "terminated":
            raise Unauthenticated
        return replace(principal, tenant_state=settings.state)

    async def _look_up(self, key: rules.KeyText, now: datetime) -> tuple[StoredKey, frozenset[str]]:
        """Return what is stored of a key, and what it may do by now."""
        try:
            async with self._database.tenant(key.tenant_id) as conn:
                stored = await store.for_verification(conn, key.tenant_id, key.id)
                if (
                    stored is None
                    or not key.matches(stored.secret_hash)
                    or not rules.is_live(
                        now=now, expires_at=stored.expires_at, revoked_at=stored.revoked_at
                    )
                    or stored.tenant_state in {"provisioning", "terminated"}
                ):
                    raise Unauthenticated
                permissions = rules.permits(stored, await _roles_behind(conn, key, stored))
                if permissions is None:
                    raise Unauthenticated
                if rules.is_use_news(stored.last_used_at, now):
                    await store.touch(conn, key.tenant_id, key.id, now)
        except NotFound as error:  # there is no such tenant on this shard
            raise Unauthenticated from error
        return stored, permissions

    def _remember(self, digest: bytes, entry: _Remembered) -> None:
        # Every entry lives equally long, so the order of insertion is the order of expiry.
        self._remembered.pop(digest, None)
        while len(self._remembered) >= CACHE_KEYS:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = entry


async def _roles_behind(
    conn: store.Connection, key: rules.KeyText, stored: StoredKey
) -> dict[str, frozenset[str]]:
    """Return the tenant's own roles, where the key's maker has one of them."""
    if stored.creator_roles is None or BUILT_IN.keys() >= set(stored.creator_roles):
        return {}
    roles = await role_store.everything(conn, key.tenant_id)
    return resolve({role.name: role.definition for role in roles})
