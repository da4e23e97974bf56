"""From the text of an API key to who is asking."""

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from crossdock.access import rules, store
from crossdock.access.model import Principal, StoredKey
from crossdock.db import Database
from crossdock.errors import NotFound, Unauthenticated

CACHE_S: Final = 1.0
"""How long a verified key is believed: the bound on how late a revocation is noticed."""

CACHE_KEYS: Final = 10_000
"""How many verified keys a process remembers; the oldest goes first."""


class _Remembered(msgspec.Struct, frozen=True):
    until: float
    principal: Principal


class Authenticator:
    """Verifies API keys, remembering each good one for at most a second.

    Refusals are not remembered: text with a wrong checksum or environment costs no look-up anyway.
    What is remembered is found by a hash of the key, so that no key lies about in memory.
    """

    def __init__(
        self,
        database: Database,
        *,
        environment: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._environment = environment
        self._clock = clock
        self._monotonic = monotonic
        self._remembered: dict[bytes, _Remembered] = {}

    async def verify(self, text: str) -> Principal:
        """Return the principal behind a key.

        Raises:
            Unauthenticated: no key, mistyped, another environment's, unknown, revoked, expired, or
                its tenant is gone. The answer is the same for all.
        """
        digest = hashlib.sha256(text.encode()).digest()
        found = self._remembered.get(digest)
        if found is not None and self._monotonic() < found.until:
            return found.principal
        key = rules.parse(text, self._environment)
        now = self._clock()
        stored = await self._look_up(key, now)
        principal = Principal(
            tenant_id=key.tenant_id,
            tenant_state=stored.tenant_state,
            key_id=key.key_id,
            permissions=stored.permissions,
        )
        life = CACHE_S
        if stored.expires_at is not None:
            life = min(life, (stored.expires_at - now).total_seconds())
        self._remember(digest, _Remembered(self._monotonic() + life, principal))
        return principal

    async def _look_up(self, key: rules.KeyText, now: datetime) -> StoredKey:
        try:
            async with self._database.tenant(key.tenant_id) as conn:
                stored = await store.for_verification(conn, key.tenant_id, key.key_id)
                if (
                    stored is None
                    or not key.matches(stored.secret_hash)
                    or not rules.is_live(
                        now=now, expires_at=stored.expires_at, revoked_at=stored.revoked_at
                    )
                    or stored.tenant_state == "terminated"
                ):
                    raise Unauthenticated
                if rules.is_use_news(stored.last_used_at, now):
                    await store.touch(conn, key.tenant_id, key.key_id, now)
        except NotFound as error:  # there is no such tenant on this shard
            raise Unauthenticated from error
        return stored

    def _remember(self, digest: bytes, entry: _Remembered) -> None:
        # Every entry lives equally long, so the order of insertion is the order of expiry.
        self._remembered.pop(digest, None)
        while len(self._remembered) >= CACHE_KEYS:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = entry
