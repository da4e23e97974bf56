"""The dispatcher: what is due goes out, fairly; what came of it is recorded.

Two ways in. The persisting worker offers what it has just leased, bodies at hand; and a loop claims
from PostgreSQL what is due: retries, replays, what exceeded somebody's room, what a dead worker
left. Both end in the lines, which decide who goes next. Memory is bounded by the lines: whatever
the backlog, it stays in the database.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

import structlog

from crossdock.breakers.model import Change, Paused, Ticket
from crossdock.breakers.service import Breakers
from crossdock.bus.publisher import Publisher
from crossdock.db.database import Database
from crossdock.delivery.client import Client
from crossdock.delivery.dispatch.attempt import Attempter
from crossdock.delivery.dispatch.cargo import dead, opened
from crossdock.delivery.dispatch.feed import Feed
from crossdock.delivery.dispatch.following import Following
from crossdock.delivery.dispatch.gate import Gate
from crossdock.delivery.dispatch.lines import Key, Lines
from crossdock.delivery.dispatch.queue import HOLD_S, SOONEST_S, Job, Queue
from crossdock.delivery.dispatch.rates import Rates
from crossdock.delivery.dispatch.recorder import Outcome, Recorder
from crossdock.delivery.dispatch.settings import DispatchSettings
from crossdock.delivery.dispatch.store import Settled
from crossdock.delivery.dispatch.targets import Ready, Targets
from crossdock.delivery.kinds.carriers import carriers
from crossdock.delivery.model import Cargo, Leased
from crossdock.errors import DatabaseUnavailable
from crossdock.native import LimitTable
from crossdock.secrets.payloads import KeyReader
from crossdock.secrets.seal import Sealer
from crossdock.transforms.service import Sandbox

log = structlog.get_logger(__name__)

_AWAY_S: Final = 1.0
_SLOTS: Final = 4_096
"""Destinations with a rate, in a table of this process's own."""
_RECORDED_IN_S: Final = 0.08
"""A wait begins when the result is written, a little after it is known."""

__all__ = ["DispatchSettings", "Dispatcher", "Job"]


class Dispatcher:
    """One for a worker process."""

    def __init__(
        self,
        database: Database,
        client: Client,
        sealer: Sealer,
        settings: DispatchSettings,
        *,
        keys: KeyReader,
        breakers: Breakers | None = None,
        table: LimitTable | None = None,
        publisher: Publisher | None = None,
        sandbox: Sandbox | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Say from where, and with what.

        Args:
            database: the shard's, opened with the role `dispatch`.
            client: calls destinations.
            sealer: opens their secrets.
            settings: how much, how long, how often.
            keys: opens payloads that are sealed.
            breakers: of the destinations; by default they are this process's own.
            table: counts calls of destinations that have a rate; by default this process's own.
            publisher: to destinations on NATS; `None` where there is no broker.
            sandbox: runs destinations' scripts; without it, what has one waits.
            clock: unix seconds, for what others read.
            monotonic: seconds that only grow, for all that waits.
            chance: a number in [0, 1).
        """
        self._database = database
        self._settings = settings
        self._keys = keys
        self._clock = clock  # for what others read: signatures, ages; it may jump
        self._now = monotonic  # for all that waits
        self._chance = chance
        if breakers is None:
            breakers = Breakers(clock=clock, monotonic=monotonic, chance=chance)
        self._breakers = breakers
        self._breakers.on_change.append(self._on_breaker)
        self._breakers.on_pause.append(self._on_pause)
        self._gate = Gate(
            self._breakers,
            Rates(LimitTable(None, b"", _SLOTS) if table is None else table),
            settings.caps,
            settings.policy,
            clock=clock,
            monotonic=monotonic,
            chance=chance,
        )
        self._gate.on_leave = self._on_leave
        self._targets = Targets(database, sealer, monotonic)
        self._lines: Lines[Job] = Lines(settings.caps, self._cap)
        self._queue = Queue(
            database,
            self._targets,
            self._lines,
            self._gate,
            lease_s=settings.lease_s,
            poll_s=settings.poll_s,
            clock=clock,
            monotonic=monotonic,
        )
        self._following = Following(
            Feed(database, monotonic), self._targets, self._lines, self._queue, settings.poll_s
        )
        self._following.on_closed = lambda key: self._give_back(key, 0.0)
        self._following.on_moved = self._moved
        self._recorder = Recorder(database, clock)
        self._recorder.on_changed = self._targets.forget
        self._recorder.on_resumed = self._pump
        self._recorder.on_promoted = self.expect
        self._recorder.on_leased = lambda pairs: self._take_over([Job(*pair) for pair in pairs])
        self._recorder.next_lease_s = lambda: settings.lease_s if self.room else 0.0
        self._attempter = Attempter(
            carriers(client, database, publisher, clock),
            settings.timeout_s,
            settings.policy,
            clock,
            chance,
            sandbox=sandbox,
        )
        self._flights: set[asyncio.Task[None]] = set()
        self._held_bytes = 0
        self._wake = asyncio.Event()
        self._is_draining = False
        self._is_away = False

    @property
    def flying(self) -> int:
        """Attempts under way."""
        return self._lines.flying

    @property
    def waiting(self) -> int:
        """Deliveries in memory that wait for their turn."""
        return self._lines.waiting

    @property
    def held_bytes(self) -> int:
        """Bytes of the bodies that are held here."""
        return self._held_bytes

    @property
    def recorder(self) -> Recorder:
        """What writes results down."""
        return self._recorder

    @property
    def room(self) -> int:
        """How many more deliveries are welcome, all in all."""
        if self._held_bytes >= self._settings.held_bytes:
            return 0
        caps = self._settings.caps
        return max(0, caps.total + caps.waiting - self._lines.flying - self._lines.waiting)

    def room_of(self, key: Key) -> int:
        """Return how many more deliveries of a destination are welcome now."""
        return 0 if self._is_draining else min(self.room, self._queue.welcome(key))

    async def offer(self, jobs: Sequence[Job]) -> None:
        """Take over deliveries that this process has leased; those without room go back."""
        try:
            await self._targets.load({job.key for job in jobs})
        except DatabaseUnavailable as error:
            log.debug("targets_wait", reason=str(error))  # each one's turn asks again
        self._take_over(jobs)

    def expect(self, keys: Collection[Key]) -> None:
        """Look at these destinations now: something was made due in them."""
        for key in keys:
            self._queue.expect(key, 0.0)
        if keys:
            self._wake.set()

    async def run(self) -> None:
        """Claim, attempt and record until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recorder.run())
            tasks.create_task(self._claim_forever())
            tasks.create_task(self._following.run())
            tasks.create_task(self._breakers.run())

    def stop(self) -> None:
        """Start nothing new, and give back what waits for its turn."""
        self._is_draining = True
        self._gate.stop()
        for key in self._lines.waiting_keys():
            self._give_back(key, 0.0)

    async def drain(self, grace_s: float) -> bool:
        """Stop, finish what flies, and write it down; tell whether all of it landed in time.

        `run` must still be running: it writes the results.
        """
        self.stop()
        flights = set(self._flights)
        if flights:
            await asyncio.wait(flights, timeout=grace_s)
        landed = not self._flights
        for flight in self._flights:
            flight.cancel()
        try:
            async with asyncio.timeout(max(1.0, grace_s / 4)):
                await self._recorder.flushed()
        except TimeoutError:
            landed = False
        return landed

    # Claims

    async def _claim_forever(self) -> None:
        while not self._is_draining:
            self._wake.clear()
            try:
                pause = await self._claim()
            except DatabaseUnavailable as error:
                if not self._is_away:
                    log.warning("claims_wait", reason=str(error))
                self._is_away = True
                pause = _AWAY_S
            else:
                if self._is_away:
                    log.info("claims_resume")
                self._is_away = False
            if pause > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()

    async def _claim(self) -> float:
        """Claim once what is due and has room; return how long to wait before the next time."""
        if self._recorder.is_behind:
            return SOONEST_S
        await self._queue.go_round()
        if not self._has_room:
            return self._settings.poll_s  # a landing wakes us
        self._take_over(await self._queue.claim())
        return self._queue.rest_s

    # Flights

    def _take_over(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._admit(job)
        self._pump()

    def _admit(self, job: Job) -> None:
        """Let a leased delivery wait for its turn, or give it back."""
        key = job.key
        ready = self._targets.known(key)
        if (pause_s := self._queue.pause_s(key, ready, asks=True)) is not None:
            self._recorder.release(job.leased)
            self._queue.leave(key, pause_s)
        elif self._is_draining or not self.room or not self._queue.room(key, ready):
            self._recorder.release(job.leased)
            self._queue.defer(key)
        else:
            self._lines.add(key, job)
            self._held_bytes += job.size

    def _give_back(self, key: Key, due_in_s: float) -> None:
        """Release what waits for a destination."""
        for job in self._lines.withdraw(key):
            self._held_bytes -= job.size
            self._recorder.release(job.leased, due_in_s)

    def _pump(self) -> None:
        """Start what may start."""
        while (turn := self._take()) is not None:
            flight = asyncio.create_task(self._fly(turn))
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)

    def _take(self) -> tuple[Key, Job] | None:
        return None if self._recorder.is_behind else self._lines.take()

    async def _fly(self, turn: tuple[Key, Job] | None) -> None:
        """Deliver, and then whatever is next: a task costs more than a turn."""
        while turn is not None:
            key, job = turn
            try:
                await self._deliver(key, job)
            except DatabaseUnavailable:
                log.debug("flight_ends", delivery=job.leased.id)  # its lease brings it back
            except Exception:
                log.exception("flight_broke", delivery=job.leased.id)
            finally:
                self._held_bytes -= job.size
                self._lines.done(key)
                self._landed(key)
            turn = self._take()
            self._pump()

    async def _deliver(self, key: Key, job: Job) -> None:
        ready = self._targets.known(key) or (await self._targets.load([key]))[key]
        if ready is None:
            cancelled = Settled(
                job.leased, "cancelled", job.leased.attempts, reason="destination_deleted"
            )
            self._recorder.add(Outcome(cancelled))
            return
        if job.cargo is None:
            self._recorder.add(Outcome(dead(job.leased, "event_missing")))
            return
        if not ready.target.enabled:
            self._recorder.release(job.leased)
            self._queue.leave(key, HOLD_S)
            return
        left = job.leased.lease_ends - self._clock()
        if left < self._attempter.timeout(ready.target) + self._settings.lease_s / 20:
            # Too late to be sure of recording it under this lease; it will be due again.
            self._recorder.release(job.leased)
            return
        cargo = await opened(self._keys, job.leased.tenant_id, job.cargo)
        if not isinstance(cargo, Cargo):
            log.error("payload_does_not_open", delivery=job.leased.id, reason=cargo)
            self._recorder.add(Outcome(dead(job.leased, cargo)))
            return
        ticket = self._gate.enter(key, ready)
        if isinstance(ticket, float):
            self._recorder.release(job.leased)
            self._queue.leave(key, ticket)
            return
        await self._attempt(ticket, job.leased, cargo, ready)

    async def _attempt(self, ticket: Ticket, leased: Leased, cargo: Cargo, ready: Ready) -> None:
        """Call, write down what came of it, and remember when to come back."""
        key = leased.tenant_id, leased.destination_id
        try:
            attempted = await self._attempter.attempt(leased, cargo, ready)
        except BaseException:
            self._breakers.abandon(ticket)
            raise
        self._recorder.add(Outcome(attempted.settled, ready.target))
        if attempted.settled.state == "pending":
            self._queue.expect(key, attempted.settled.due_in_s + _RECORDED_IN_S)
        self._gate.judge(key, ready, ticket, attempted)

    # Breakers

    def _cap(self, key: Key) -> int:
        return self._gate.cap(key, self._targets.known(key))

    def _on_breaker(self, change: Change) -> None:
        """Leave alone what has opened, and come back to what has closed."""
        key = change.tenant_id, change.subject_id
        if change.state == "open":
            self._leave(key, change.rest_s)
        else:
            self._queue.resume(key, self._gate.spread_s(change))
            self._wake.set()

    def _on_pause(self, paused: Paused) -> None:
        self._leave((paused.tenant_id, paused.subject_id), paused.for_s)

    def _on_leave(self, key: Key) -> None:
        self._queue.resume(key, 0.0)
        self._wake.set()

    def _leave(self, key: Key, for_s: float) -> None:
        self._give_back(key, 0.0)
        self._queue.leave(key, for_s)

    def _moved(self) -> None:
        self._wake.set()
        self._pump()

    def _landed(self, key: Key) -> None:
        """See who may be claimed now that there is room again."""
        self._queue.landed(key)
        if self._has_room and self._queue.has_due:
            self._wake.set()

    @property
    def _has_room(self) -> bool:
        """Whether a claim is worth its cost: few large ones, and the slots busy meanwhile."""
        return self.room > self._settings.caps.waiting // 4
