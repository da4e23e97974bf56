"""The use cases of replays, and the worker that carries them out.

A replay works in chunks. A chunk is one transaction: it holds the next finished deliveries, makes
new ones for those that match, marks dead letters as replayed and moves the cursor. A kill between
two chunks loses nothing and repeats nothing; memory is a chunk's ids, whatever the backlog.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog

from crossdock import ids
from crossdock.db import Database, Databases
from crossdock.delivery import rules
from crossdock.delivery import store as deliveries
from crossdock.delivery.model import Delivery, Replay, ReplayFilter
from crossdock.delivery.replays import store
from crossdock.errors import Conflict, Invalid, NotFound, Unavailable, Violation
from crossdock.paging import Slice, Window
from crossdock.tenancy import quotas

log = structlog.get_logger(__name__)

CHUNK: Final = 500
_AT_ONCE: Final = 20
"""Replays that take turns, a chunk each."""


class Replays:
    """Starts, shows and cancels a tenant's replays."""

    def __init__(
        self, database: Databases, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def create(self, tenant_id: UUID, wanted: ReplayFilter) -> Replay:
        """Start a replay of everything that matches now; a worker carries it out.

        Raises:
            Invalid: the time range is empty, or a type has letters that none has.
            QuotaReached: as many jobs of the tenant are running as may.
        """
        found = rules.check_types(wanted.event_types)
        after, before = wanted.created_after, wanted.created_before
        if after is not None and before is not None and after >= before:
            found.append(Violation("/created_before", "is not after created_after"))
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
            found = await store.get(conn, tenant_id, replay_id)
        if found is None:
            raise NotFound
        return found

    async def cancel(self, tenant_id: UUID, replay_id: UUID) -> Replay:
        """Stop a running replay; what it has made goes on. To repeat it changes nothing.

        Raises:
            NotFound: this tenant has no such replay.
            Conflict: it was done before.
        """
        async with self._database.tenant(tenant_id) as conn:
            await store.cancel(conn, tenant_id, replay_id)
            found = await store.get(conn, tenant_id, replay_id)
        if found is None:
            raise NotFound
        if found.state == "done":
            raise Conflict("That replay is done.")
        return found


class ReplayRunner:
    """Carries replays out; any number of workers may, each chunk has one of them."""

    def __init__(
        self,
        database: Database,
        *,
        chunk: int = CHUNK,
        poll_s: float = 1.0,
        clock: Callable[[], float] = lambda: datetime.now(UTC).timestamp(),
    ) -> None:
        self._database = database
        self._chunk = chunk
        self._poll_s = poll_s
        self._clock = clock

    async def run(self) -> None:
        """Work until cancelled; an outage is waited out."""
        while True:
            try:
                has_more = await self.work()
            except Unavailable as error:
                log.warning("replays_wait", reason=str(error))
                has_more = False
            if not has_more:
                await asyncio.sleep(self._poll_s)

    async def work(self) -> bool:
        """Do one chunk of each of the oldest replays; tell whether any is left.

        Raises:
            DatabaseUnavailable: the database is away.
        """
        async with self._database.queue() as conn:
            running = await store.running(conn, _AT_ONCE)
        for tenant_id, replay_id in running:
            try:
                await self._work_on(tenant_id, replay_id)
            except NotFound:
                log.warning("replay_without_tenant", tenant=tenant_id, replay=replay_id)
        return bool(running)

    async def _work_on(self, tenant_id: UUID, replay_id: UUID) -> None:
        async with self._database.tenant(tenant_id) as conn:
            replay = await store.hold(conn, tenant_id, replay_id)
            if replay is None:
                return
            seen = await store.candidates(conn, replay, self._chunk)
            living = await store.living_destinations(conn, tenant_id)
            wanted = [one for one in seen if _is_wanted(replay.filter, one, living)]
            chosen = await self._again(conn, replay, wanted) if wanted else 0
            is_done = not seen
            cursor = seen[-1].id if seen else replay.cursor
            await store.advance(conn, replay, cursor=cursor, made=chosen, is_done=is_done)
        if is_done:
            log.info("replay_done", tenant=tenant_id, replay=replay_id, matched=replay.matched)

    async def _again(self, conn: Any, replay: Replay, wanted: Sequence[store.Candidate]) -> int:
        """Make deliveries again; tell how many: one may have changed since it was looked at."""
        tenant_id, state = replay.tenant_id, replay.filter.state
        held = await store.hold_finished(conn, tenant_id, [one.id for one in wanted], state)
        now = self._clock()
        made = [
            Delivery(
                tenant_id=tenant_id,
                id=ids.new(now),
                event_id=one.event_id,
                destination_id=one.destination_id,
                state="pending",
                attempts=0,
                due_at=datetime.fromtimestamp(now, UTC),
                replay_id=replay.id,
                last_status=None,
                last_error=None,
                reason=None,
                finished_at=None,
            )
            for one in wanted
            if one.id in held
        ]
        await deliveries.add_deliveries(conn, made)
        if state == "dead" and held:
            await deliveries.mark_replayed(conn, tenant_id, held)
        return len(made)


def _is_wanted(wanted: ReplayFilter, one: store.Candidate, living: Collection[UUID]) -> bool:
    """Tell whether a delivery matches, and can be made again at all."""
    return (
        one.event_type is not None
        and one.destination_id in living
        and one.state == wanted.state
        and wanted.destination_id in {None, one.destination_id}
        and wanted.source_id in {None, one.source_id}
        and wanted.reason in {None, one.reason}
        and wanted.last_status in {None, one.last_status}
        and rules.matches_type(wanted.event_types, one.event_type)
    )
