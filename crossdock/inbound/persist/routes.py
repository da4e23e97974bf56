"""Where each tenant's events go, kept in memory, and never older than the transaction that asks.

Reading the destinations of 500 tenants cost a batch a sixth of its time. They hardly ever change,
and a trigger writes down when they do: so each batch asks only what has changed since the last one
asked, by the ids of transactions, and forgets that. What is asked inside the batch's
own transaction shows every change that was committed before, so a destination made before an event
was accepted is never missed.
"""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from uuid import UUID

from crossdock.inbound import changes
from crossdock.inbound.persist import store
from crossdock.inbound.persist.matching import Routed

CAPACITY: Final = 50_000
"""Tenants remembered; about 1 KiB each."""
MATCHERS_BYTES: Final = 256 * 1024 * 1024
"""What the compiled filters of all of them may take, about."""


class Routes:
    """One for a process; any number of batches may ask at once."""

    def __init__(
        self,
        *,
        shard: int,
        capacity: int = CAPACITY,
        matchers_bytes: int = MATCHERS_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shard = shard
        self._capacity = capacity
        self._clock = clock
        self._matchers_bytes = matchers_bytes
        self._known: dict[UUID, Routed] = {}
        self._matchers: dict[UUID, int] = {}
        """About the bytes of those that have a matcher, the one that was used last at the end."""
        self._taken = 0
        """All those bytes."""
        self._position = changes.NOTHING_YET
        self._asked_at = clock()
        self._forgotten = 0
        """How often something was forgotten: what was read before must not be kept after."""

    async def of(self, conn: Any, tenants: Collection[UUID]) -> dict[UUID, Routed]:
        """Return the destinations of tenants, as of now; one that is not here is missing.

        Args:
            conn: inside the transaction that will use them, numbered, with these tenants entered.
            tenants: whose.
        """
        await self._forget_changed(conn)
        found = {tenant: self._known[tenant] for tenant in tenants if tenant in self._known}
        if len(found) < len(tenants):
            forgotten = self._forgotten
            missing = [tenant for tenant in tenants if tenant not in found]
            rows = await store.routes(conn, missing, self._shard)
            read = {tenant: Routed(routes) for tenant, routes in rows.items()}
            found |= read
            if forgotten == self._forgotten:
                self._keep(read)
        return found

    async def _forget_changed(self, conn: Any) -> None:
        """Forget what is no longer true, and note up to where the feed is known."""
        if self._clock() - self._asked_at > changes.FEED_S:
            self._forget_all()
        asked = self._position
        position, changed = await changes.since(conn, asked)
        self._asked_at = self._clock()
        if asked != changes.NOTHING_YET and position < asked:  # another server, or one restored
            self._forget_all()
        elif changed:
            self._forgotten += 1
            for tenant in changed:
                self._forget(tenant)
        if self._position in {asked, changes.NOTHING_YET}:  # unless another batch has come further
            self._position = position

    def _forget_all(self) -> None:
        self._forgotten += 1
        self._known.clear()
        self._matchers.clear()
        self._taken = 0
        self._position = changes.NOTHING_YET

    def _forget(self, tenant: UUID) -> None:
        self._known.pop(tenant, None)
        self._taken -= self._matchers.pop(tenant, 0)

    def used(self, routes: Mapping[UUID, Routed]) -> None:
        """Forget what takes too much memory, after these tenants' events were matched."""
        for tenant, routed in routes.items():
            if routed.size and self._known.get(tenant) is routed:
                self._taken += routed.size - self._matchers.pop(tenant, 0)
                self._matchers[tenant] = routed.size
        while self._taken > self._matchers_bytes and len(self._matchers) > 1:
            self._forget(next(iter(self._matchers)))

    def _keep(self, read: dict[UUID, Routed]) -> None:
        for tenant, routed in read.items():
            self._forget(tenant)
            self._known[tenant] = routed
        while len(self._known) > self._capacity:
            self._forget(next(iter(self._known)))
