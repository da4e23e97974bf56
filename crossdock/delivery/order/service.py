"""The joiner: lets deliveries into their lines once nothing that came before them can come after.

A worker may persist a batch before another has persisted an earlier one. So an ordered delivery is
stored blocked, and joins its line when the broker has every earlier event acknowledged: then they
are all in PostgreSQL, and the first in line is the first there is. The broker is asked only while
something waits to join. A slow sweep puts right what a crash, an older worker, an end of retention
or a change of settings left standing still.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final, NoReturn
from uuid import UUID

import structlog

from crossdock.bus import Bus
from crossdock.bus.standing import standing
from crossdock.db.database import Database
from crossdock.db.failures import LOCK_NOT_AVAILABLE, sqlstate_of
from crossdock.delivery.dispatch.feed import Feed
from crossdock.delivery.order import rules, store
from crossdock.delivery.order.model import Line
from crossdock.delivery.order.store import Key
from crossdock.errors import DatabaseUnavailable, Unavailable

CHUNK: Final = 5000
"""Deliveries that join in one transaction; nobody else ends an ordered one meanwhile."""
CHUNK_LINES: Final = 500
"""Lines that they join: each takes a look at its head."""
IDLE_S: Final = 1.0
"""How late, at most, it notices what another worker stored and did not let in."""
PACE_S: Final = 0.005
LOCK_MS: Final = (50, 100, 250, 1000, 4000)
"""For how long it stands in everybody's way while it waits for who holds a lane; then it steps
back, and is more patient the next time."""
SWEEP_S: Final = 10.0
LINES: Final = 500
"""Lines looked at in one statement of a sweep."""
_SHARE: Final = 5
"""A sweep rests this many times as long as it works."""
_NOBODY: Final = UUID(int=0)
_LEAST: Final = -(2**63)

log = structlog.get_logger(__name__)


class Joiner:
    """One for each shard in a worker process; any number of them may work at once."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        *,
        on_due: Callable[[Collection[Key]], None] = lambda _: None,
        idle_s: float = IDLE_S,
        sweep_s: float = SWEEP_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Say where, and whom to tell.

        Args:
            database: the shard's, opened with the role `dispatch`.
            bus: knows how far persisting has come.
            on_due: is told of destinations that have something due at once.
            idle_s: how often it looks without a hint.
            sweep_s: how long a sweep rests.
            monotonic: seconds that only grow.
        """
        self._database = database
        self._bus = bus
        self._on_due = on_due
        self._idle_s = idle_s
        self._sweep_s = sweep_s
        self._now = monotonic
        self._feed = Feed(database, monotonic)
        self._hinted = asyncio.Event()
        self._wait_s = 0.0
        self._patience = 0
        self._behind_since: float | None = None

    def hint(self) -> None:
        """Look now: something that was stored here may join."""
        self._wait_s = 0.0
        self._hinted.set()

    async def look(self, lines: Collection[Line]) -> None:
        """Make the next of these lines due, where nothing is under way.

        Raises:
            DatabaseUnavailable: the database is away; a sweep does it later.
        """
        if not lines:
            return
        async with self._database.queue() as conn:
            await store.hold_lanes(conn, {line[0] for line in lines})
            await store.enter(conn, lines)
            due = await store.promote_many(conn, lines)
        self._on_due(due)

    async def run(self) -> None:
        """Work until cancelled; an outage is waited out."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._join_forever())
            tasks.create_task(self._heal_forever())

    async def join(self) -> float:
        """Let in what may join; return the seconds after which to look again.

        Raises:
            DatabaseUnavailable: the database is away.
            BrokerUnavailable: the broker is away.
        """
        async with self._database.queue() as conn:
            found = await store.waiting(conn)
        if found.next is None:
            return self._idle_s
        broker = await standing(self._bus, self._database.number)
        if rules.is_behind(found.floor, broker.last):
            return await self._begin_anew()
        self._behind_since = None
        if broker.acked < found.next:
            self._wait_s = rules.longer(self._wait_s)
            return min(self._wait_s, self._idle_s)
        self._wait_s = 0.0
        try:
            return 0.0 if await self._let_in(broker.acked) else PACE_S
        except DatabaseUnavailable as error:
            if error.__cause__ is None or sqlstate_of(error.__cause__) != LOCK_NOT_AVAILABLE:
                raise
            await asyncio.sleep(PACE_S)  # somebody holds a lane: stand aside for a moment
            return 0.0

    async def sweep(self, tenant_id: UUID | None = None) -> int:
        """Move lines in which nothing does, of one tenant or of all; return how many there were.

        Raises:
            DatabaseUnavailable: the database is away.
        """
        after: Line = (_NOBODY if tenant_id is None else tenant_id, _NOBODY, _LEAST)
        healed = 0
        while True:
            async with self._database.queue() as conn:
                began = time.perf_counter()
                found = await store.lines_after(conn, after, LINES)
                took = time.perf_counter() - began
            ours = [one for one in found if tenant_id in {None, one[0][0]}]
            still = {line for line, is_still in ours if is_still}
            if still:
                await self.look(still)
                healed += len(still)
            if len(ours) < LINES:
                return healed
            after = found[-1][0]
            await asyncio.sleep(_SHARE * took)

    async def _join_forever(self) -> NoReturn:
        is_away = False
        while True:
            self._hinted.clear()
            try:
                pause = await self.join()
                is_away = False
            except Unavailable as error:
                if not is_away:
                    log.warning("joining_waits", reason=str(error))
                is_away, pause = True, rules.LONGEST_WAIT_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._hinted.wait()

    async def _heal_forever(self) -> NoReturn:
        """Sweep the lines of whoever changed a destination, and now and then all."""
        sweep_at = self._now()
        while True:
            with suppress(Unavailable):  # the joining says so
                changed = await self._feed.changed()
                for tenant_id in changed or ():
                    await self.sweep(tenant_id)
                if changed is None or self._now() >= sweep_at:
                    await self.sweep()
                    sweep_at = self._now() + self._sweep_s
            await asyncio.sleep(min(self._idle_s, self._sweep_s))

    async def _let_in(self, acked: int) -> bool:
        """Raise the floor, and promote whoever is first by that; tell whether there is more."""
        patience_ms = LOCK_MS[min(self._patience, len(LOCK_MS) - 1)]
        self._patience += 1
        begin = f"BEGIN; SET LOCAL lock_timeout = {patience_ms}"
        async with self._database.transaction("dispatch", begin) as conn:
            await store.hold_lanes(conn)
            joined = await store.joining(conn, acked, CHUNK, CHUNK_LINES)
            await store.raise_floor(conn, joined.floor)
            due: set[Key] = set()
            if joined.lines:
                await store.enter(conn, joined.lines)
                due = await store.promote_many(conn, joined.lines)
        self._patience = 0
        self._on_due(due)
        return joined.has_more

    async def _begin_anew(self) -> float:
        """Lower the floor once the stream has been another's for long enough to believe it."""
        now = self._now()
        if self._behind_since is None:
            self._behind_since = now
        if now - self._behind_since < rules.ANEW_AFTER_S:
            return self._idle_s
        async with self._database.queue() as conn:
            await store.hold_lanes(conn)
            floor = (await store.waiting(conn)).floor
            broker = await standing(self._bus, self._database.number)
            if rules.is_behind(floor, broker.last):
                await store.begin_anew(conn, broker.acked, broker.last)
                log.warning("stream_made_anew", floor=floor, acked=broker.acked, last=broker.last)
        self._behind_since = None
        return 0.0
