"""The worker that carries replays out.

A replay works in chunks. A chunk is one transaction: it holds the replay, looks at the next
deliveries or events, makes new deliveries of those that match, marks dead letters as replayed and
moves the cursor. A kill at any moment loses nothing and repeats nothing; memory is a chunk's rows,
whatever the backlog. It makes no more than its destinations take: above `MOST_WAITING` deliveries
that wait for one, it waits itself.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NoReturn
from uuid import UUID

import structlog

from crossdock.db import Database
from crossdock.delivery.replays import chunks, rules, store
from crossdock.delivery.replays.chunks import Making, Waiting
from crossdock.errors import NotFound, Unavailable
from crossdock.secrets.payloads import KeyReader

log = structlog.get_logger(__name__)

CHUNK: Final = 500
MOST_WAITING: Final = 5000
"""Deliveries that may wait for a destination before replays make no more for it: minutes of work
for a quick one, and no flood for one that is slow, or disabled."""

_TENANTS: Final = 20
"""Tenants that take turns, a chunk each."""
_OF_ONE: Final = 50
"""Replays of one tenant that are known at a time; they take turns, too."""
_KNOWN: Final = 2000


class ReplayRunner:
    """Carries replays out; any number of workers may, each chunk has one of them."""

    def __init__(
        self,
        database: Database,
        keys: KeyReader | None = None,
        *,
        chunk: int = CHUNK,
        most_waiting: int = MOST_WAITING,
        poll_s: float = 1.0,
        clock: Callable[[], float] = lambda: datetime.now(UTC).timestamp(),
    ) -> None:
        """Work in a database opened with the roles `app` and `dispatch`.

        Args:
            database: the shard's.
            keys: opens sealed payloads for filters; without it those that look into one fail.
            chunk: deliveries, or events, that are looked at in one transaction.
            most_waiting: deliveries that may wait for a destination before no more are made.
            poll_s: how late, at most, an idle one begins.
            clock: unix seconds.
        """
        self._database = database
        self._keys = keys
        self._chunk = chunk
        self._most_waiting = most_waiting
        self._poll_s = poll_s
        self._clock = clock
        self._turns: dict[UUID, UUID] = {}

    async def run(self) -> NoReturn:
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
        """Do one chunk for each of the next tenants; tell whether anything was done.

        Raises:
            DatabaseUnavailable: the database is away.
        """
        async with self._database.queue() as conn:
            running = await store.running(conn, _OF_ONE, _KNOWN)
        is_busy = False
        for tenant_id, replay_id in rules.take_turns(running, self._turns, _TENANTS):
            try:
                is_busy |= await self._work_on(tenant_id, replay_id)
            except NotFound:
                log.warning("replay_without_tenant", tenant=tenant_id, replay=replay_id)
            except Unavailable:
                raise
            except Exception:
                # Ours to mend; it stays where it is, and must not hold up the other tenants.
                log.exception("replay_broke", tenant=tenant_id, replay=replay_id)
        return is_busy

    async def _work_on(self, tenant_id: UUID, replay_id: UUID) -> bool:
        """Do a chunk; tell whether there was one to do."""
        async with self._database.tenant(tenant_id) as conn:
            replay = await store.hold(conn, tenant_id, replay_id)
            if replay is None:
                return False
            making = Making(conn, self._keys, self._clock(), self._chunk, self._most_waiting)
            make = chunks.of_events if replay.filter.is_of_events else chunks.of_deliveries
            done = await make(making, replay)
            if isinstance(done, Waiting):
                if done.destination_id is not None:
                    await store.wait(conn, replay, done.destination_id)
                return False
            await store.advance(
                conn,
                replay,
                cursor=done.cursor,
                seen=done.seen,
                made=done.made,
                end=done.is_last,
            )
        if done.is_last:
            log.info("replay_done", tenant=tenant_id, replay=replay_id, matched=replay.matched)
        return True
