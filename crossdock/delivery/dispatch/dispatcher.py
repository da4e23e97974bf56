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
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import replace

from crossdock.db.database import Database
from crossdock.delivery.client import Client
from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.dispatch.attempt import Attempted, Attempter
from crossdock.delivery.dispatch.breaker import Breakers
from crossdock.delivery.dispatch.feed import POLL_S, Feed
from crossdock.delivery.dispatch.lines import Caps, Key, Lines
from crossdock.delivery.dispatch.queue import HOLD_S, SOONEST_S, Job, Queue
from crossdock.delivery.dispatch.recorder import Outcome, Recorder
from crossdock.delivery.dispatch.store import Settled
from crossdock.delivery.dispatch.targets import Targets
from crossdock.delivery.model import Cargo, DeadReason, Leased
from crossdock.errors import DatabaseUnavailable
from crossdock.secrets.payloads import KeyReader, PayloadShredded, open_payload
from crossdock.secrets.seal import SealBroken, Sealer
from crossdock.telemetry import metrics

log = structlog.get_logger(__name__)

_AWAY_S: Final = 1.0
_RECORDED_IN_S: Final = 0.03
"""A wait begins when the result is written, a little after it is known."""


__all__ = ["DispatchSettings", "Dispatcher", "Job"]


class DispatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much, how long, how often."""

    caps: Caps
    lease_s: float = 60.0
    timeout_s: float = 15.0
    """The longest an attempt may take, whatever a destination asks for."""
    poll_s: float = 1.0
    """How late, at most, an idle dispatcher notices what others made due."""
    policy: RetryPolicy | None = None
    """For destinations that have none of their own."""
    held_bytes: int = 64 * 1024 * 1024
    """Bodies held in memory; nothing more is taken in above it."""


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
        self._lines: Lines[Job] = Lines(settings.caps)
        self._breakers = Breakers()
        self._targets = Targets(database, sealer, monotonic)
        self._queue = Queue(
            database,
            self._targets,
            self._lines,
            self._breakers,
            lease_s=settings.lease_s,
            poll_s=settings.poll_s,
            clock=clock,
            monotonic=monotonic,
        )
        self._feed = Feed(database, monotonic)
        self._recorder = Recorder(database, clock)
        self._recorder.on_changed = self._targets.forget
        self._recorder.on_resumed = self._pump
        self._attempter = Attempter(client, settings.timeout_s, settings.policy, clock, chance)
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

    async def offer(self, jobs: Sequence[Job]) -> None:
        """Take over deliveries that this process has leased; those without room go back."""
        try:
            await self._targets.load({job.key for job in jobs})
        except DatabaseUnavailable as error:
            log.debug("targets_wait", reason=str(error))  # each one's turn asks again
        for job in jobs:
            self._admit(job)
        self._pump()

    async def run(self) -> None:
        """Claim, attempt and record until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recorder.run())
            tasks.create_task(self._claim_forever())
            tasks.create_task(self._refresh_forever())
            tasks.create_task(self._follow_changes())

    def stop(self) -> None:
        """Start nothing new, and give back what waits for its turn."""
        self._is_draining = True
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
        for job in await self._queue.claim():
            self._admit(job)
        self._pump()
        return self._queue.rest_s

    async def _refresh_forever(self) -> None:
        """Keep the destinations of waiting deliveries as fresh as those of new ones."""
        while True:
            await asyncio.sleep(self._settings.poll_s)
            try:
                await self._targets.load(self._lines.waiting_keys())
            except DatabaseUnavailable:
                log.debug("refresh_waits")

    async def _follow_changes(self) -> None:
        """Hold back what was just closed, and let go on what was opened again."""
        while True:
            try:
                tenants = await self._feed.changed()
                if tenants is None or tenants:
                    await self._renew(tenants)
            except DatabaseUnavailable:
                log.debug("changes_wait")
            await asyncio.sleep(POLL_S)

    async def _renew(self, tenants: Collection[UUID] | None) -> None:
        """Read tenants' destinations anew, and give back what waits for those that are closed."""
        outdated = self._targets.outdate(tenants)
        self._queue.hurry(tenants)
        self._wake.set()
        for key, ready in (await self._targets.load(outdated)).items():
            if ready is None or not ready.target.enabled:
                self._give_back(key, 0.0)

    # Flights

    def _admit(self, job: Job) -> None:
        """Let a leased delivery wait for its turn, or give it back."""
        key = job.key
        if (pause_s := self._queue.pause_s(key, self._targets.known(key))) is not None:
            self._recorder.release(job.leased)
            self._queue.leave(key, pause_s)
        elif self._is_draining or not self.room or not self._lines.room(key):
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
            self._recorder.add(Outcome(_dead(job.leased, "event_missing")))
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
        cargo = await self._open(job.leased.tenant_id, job.cargo)
        if not isinstance(cargo, Cargo):
            log.error("payload_does_not_open", delivery=job.leased.id, reason=cargo)
            self._recorder.add(Outcome(_dead(job.leased, cargo)))
            return
        attempted = await self._attempter.attempt(job.leased, cargo, ready)
        self._recorder.add(Outcome(attempted.settled, ready.target))
        self._judge(key, attempted)

    async def _open(self, tenant_id: UUID, cargo: Cargo) -> Cargo | DeadReason:
        """Return what is sent: the payload as it came, or why nobody can have that any more.

        Raises:
            DatabaseUnavailable: its key can't be read just now.
        """
        if cargo.data_key is None:
            return cargo
        try:
            key = await self._keys.get(tenant_id, cargo.data_key)
            body = open_payload(key, tenant_id, cargo.event_id, cargo.body)
        except PayloadShredded:
            return "payload_shredded"
        except SealBroken:
            return "payload_unreadable"
        return replace(cargo, body=body, data_key=None)

    def _judge(self, key: Key, attempted: Attempted) -> None:
        """Tell the breaker, and remember when to come back."""
        if attempted.reached:
            self._breakers.answered(key)
        else:
            self._breakers.failed(key, self._now(), self._chance())
            if rest := self._breakers.rest(key, self._now()):
                self._give_back(key, rest)
                self._queue.leave(key, rest)
        if attempted.settled.state == "pending":
            self._queue.expect(key, attempted.settled.due_in_s + _RECORDED_IN_S)

    def _landed(self, key: Key) -> None:
        """See who may be claimed now that there is room again."""
        self._queue.landed(key)
        if self._has_room and self._queue.has_due:
            self._wake.set()

    @property
    def _has_room(self) -> bool:
        """Whether a claim is worth its cost: few large ones, and the slots busy meanwhile."""
        return self.room > self._settings.caps.waiting // 4


def _dead(leased: Leased, reason: DeadReason) -> Settled:
    """Return the end of a delivery that has nothing to bring."""
    metrics.DEAD_LETTERS.labels(reason).inc()
    return Settled(leased, "dead", leased.attempts, reason=reason)
