"""The use cases of replays in bulk; `runner` carries them out."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from crossdock import ids
from crossdock.db import Databases
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.matching import store as occurrences
from crossdock.delivery.model import Replay, ReplayFilter
from crossdock.delivery.replays import rules, store
from crossdock.errors import Conflict, Invalid, NotFound, Violation
from crossdock.paging import Slice, Window
from crossdock.tenancy import quotas


class Replays:
    """Starts, shows, pauses and cancels a tenant's replays."""

    def __init__(
        self, database: Databases, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def create(self, tenant_id: UUID, wanted: ReplayFilter) -> Replay:
        """Start a replay of everything that matches now; a worker carries it out.

        Raises:
            Invalid: parts of the filter don't fit together, or the time range is empty; a type has
                letters that none has; there is no such destination, or it was never disabled, and
                the beginning is missing.
            QuotaReached: as many jobs of the tenant are running as may.
        """
        found = rules.check(wanted)
        if found:
            raise Invalid(None, *found)
        now = self._clock()
        replay = Replay(
            tenant_id=tenant_id,
            id=ids.new(now.timestamp()),
            state="running",
            filter=wanted,
            cursor=None,
            matched=0,
            created_at=now,
            finished_at=None,
        )
        async with self._database.tenant(tenant_id) as conn:
            await quotas.take(conn, tenant_id, "concurrent_jobs")
            wanted = await _completed(conn, tenant_id, wanted)
            replay = replace(
                replay,
                filter=wanted,
                low=await _beginning(conn, tenant_id, wanted),
                mark=await store.mark(conn) if wanted.state == "missed" else None,
            )
            await store.add(conn, replay)
        return replay

    async def page(self, tenant_id: UUID, window: Window) -> Slice[Replay]:
        """Return a page of replays, newest first."""
        async with self._database.tenant(tenant_id) as conn:
            return Slice.cut(await store.page(conn, tenant_id, window), window)

    async def get(self, tenant_id: UUID, replay_id: UUID) -> Replay:
        """Return one replay, with its progress.

        Raises:
            NotFound: this tenant has no such replay.
        """
        async with self._database.tenant(tenant_id) as conn:
            return _there(await store.get(conn, tenant_id, replay_id))

    async def pause(self, tenant_id: UUID, replay_id: UUID) -> Replay:
        """Have a running replay make no more for now. To repeat it changes nothing.

        Raises:
            NotFound: this tenant has no such replay.
            Conflict: it has ended.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = _going(_there(await store.get(conn, tenant_id, replay_id, lock=True)))
            if found.state == "running":
                found = await store.turn(conn, tenant_id, replay_id, "paused")
        return found

    async def resume(self, tenant_id: UUID, replay_id: UUID) -> Replay:
        """Have a paused replay go on where it was. To repeat it changes nothing.

        Raises:
            NotFound: this tenant has no such replay.
            Conflict: it has ended.
            QuotaReached: as many jobs of the tenant are running as may.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = _going(_there(await store.get(conn, tenant_id, replay_id, lock=True)))
            if found.state == "paused":
                await quotas.take(conn, tenant_id, "concurrent_jobs")
                found = await store.turn(conn, tenant_id, replay_id, "running")
        return found

    async def cancel(self, tenant_id: UUID, replay_id: UUID) -> Replay:
        """End a replay that is not done; what it has made goes on. To repeat it changes nothing.

        Raises:
            NotFound: this tenant has no such replay.
            Conflict: it was done before.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = _there(await store.get(conn, tenant_id, replay_id, lock=True))
            if found.state == "done":
                raise Conflict("That replay is done.")
            if found.state != "cancelled":
                found = await store.turn(conn, tenant_id, replay_id, "cancelled")
        return found


async def _completed(conn: Any, tenant_id: UUID, wanted: ReplayFilter) -> ReplayFilter:
    """Return a filter with what only the database knows: since when, and events' own ids."""
    if wanted.event_ids:
        own = await occurrences.originals(conn, tenant_id, wanted.event_ids)
        chosen = dict.fromkeys(own.get(one, one) for one in wanted.event_ids)
        wanted = replace(wanted, event_ids=tuple(chosen))
    if wanted.state != "missed" or wanted.destination_id is None:
        return wanted
    destination = await destinations.get(conn, tenant_id, wanted.destination_id)
    if destination is None:
        raise Invalid(None, Violation("/destination_id", "There is no such destination."))
    if wanted.created_after is not None or wanted.event_ids:
        return wanted
    if destination.disabled_at is None:
        detail = "is needed: that destination was never disabled"
        raise Invalid(None, Violation("/created_after", detail))
    return replace(wanted, routed_after=destination.disabled_at)


async def _beginning(conn: Any, tenant_id: UUID, wanted: ReplayFilter) -> UUID | None:
    """Return the first id that a replay has to look at; `None` where there is nothing."""
    moment = rules.beginning(wanted)
    if moment is None:
        if wanted.is_of_events:
            return await occurrences.first(conn, tenant_id)
        is_dead = wanted.state == "dead"
        return await store.first_delivery(conn, tenant_id, only_dead=is_dead)
    low = ids.floor(moment)
    if wanted.routed_after is not None:  # what was held for long, and released meanwhile, is older
        since = wanted.routed_after - rules.CLOCKS_APART
        released = await occurrences.first_released(conn, tenant_id, since)
        low = low if released is None else min(low, released)
    return low


def _there(found: Replay | None) -> Replay:
    if found is None:
        raise NotFound
    return found


def _going(found: Replay) -> Replay:
    if found.state in {"done", "cancelled"}:
        raise Conflict(f"That replay is {found.state}.")
    return found
