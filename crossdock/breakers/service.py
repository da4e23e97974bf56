"""The breakers of one process: asked before a call, told after it. Answers come from memory.

Only a half-open breaker costs a question to the broker, for a permit to probe. While the broker is
away each process judges by its own calls, and probes by its own count; that is counted.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

import structlog

from crossdock.breakers import rules
from crossdock.breakers.memory import Memory
from crossdock.breakers.model import (
    Change,
    Heard,
    Mode,
    Outcome,
    Pause,
    Paused,
    Policy,
    Record,
    Scope,
    State,
    Ticket,
    View,
    Why,
)
from crossdock.breakers.sharing import Sharing
from crossdock.breakers.standing import Standing, tenant_and_subject
from crossdock.endless import together
from crossdock.errors import BrokerUnavailable
from crossdock.telemetry.metrics import (
    BREAKER_CHANGES,
    BREAKER_LOCAL,
    BREAKER_PROBES,
)

CAPACITY: Final = 10_000
"""Scopes that are known at once, a few KiB each: those that failed or were slow lately."""
SWEEP_S: Final = 15.0
FORCED_S: Final = 5.0
"""How often to see whether one that was opened by hand still is."""
_UNJUDGED: Final = -1
"""The epoch of calls that nobody judges: no breaker ever has it."""

log = structlog.get_logger(__name__)


class Breakers:
    """One for a process, or for a shard of its work."""

    def __init__(
        self,
        policy: Policy | None = None,
        sharing: Sharing | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        capacity: int = CAPACITY,
    ) -> None:
        """Say by what to judge, and with whom to share.

        Args:
            policy: when to open, and for how long.
            sharing: the way to the other processes; without it this one is alone.
            clock: unix seconds, for what others read; it may jump.
            monotonic: seconds that only grow.
            chance: a number in [0, 1).
            capacity: scopes known at once; what comes on top is called as if all were well.
        """
        self.policy: Final = policy or Policy()
        self._sharing = sharing
        self._clock = clock
        self._now = monotonic
        self._chance = chance
        self._capacity = capacity
        self._memory = Memory(self.policy, capacity)
        self._pauses: dict[str, float] = {}
        self._freeing: set[asyncio.Task[None]] = set()
        self.on_change: list[Heard] = []
        """Are told of each breaker that opens or closes, here or elsewhere; they must not raise."""
        self.on_pause: list[Callable[[Paused], None]] = []
        if sharing is not None:
            sharing.on_record = self._on_record
            sharing.on_pause = self._on_pause
            sharing.on_lost = self._tell_all

    def __len__(self) -> int:
        return len(self._memory)

    async def run(self) -> NoReturn:
        """Share, and forget what is long past, until cancelled."""
        if self._sharing is None:
            await self._sweep_forever()
        await together(self._sweep_forever(), self._sharing.run())

    # Before a call

    def rest(self, scope: Scope, mode: Mode = "auto") -> float:
        """Return the seconds to leave it alone; 0 means call it, or probe it if it is half-open."""
        now = self._now()
        rest_s = max(0.0, self._pauses.get(scope.key, 0.0) - now) if self._pauses else 0.0
        if mode != "auto":
            return max(rest_s, FORCED_S) if mode == "open" else rest_s
        known = self._memory.get(scope.key)
        if known is not None and known.is_open:
            return max(rest_s, known.until - now)
        return max(rest_s, self._memory.host_rest(scope.key, now))

    def is_half_open(self, scope: Scope, mode: Mode = "auto") -> bool:
        """Tell whether it may be called by a probe only."""
        if mode != "auto":
            return False
        known = self._memory.get(scope.key)
        return known is not None and known.state(self._now()) == "half-open"

    def enter(self, scope: Scope, mode: Mode = "auto") -> Ticket | None:
        """Return leave for a call of one that is closed; `None` where it is not."""
        if mode != "auto":
            return Ticket(scope, _UNJUDGED) if mode == "off" else None
        known = self._memory.get(scope.key)
        if known is None:
            return Ticket(scope, 0)
        return None if known.is_open else Ticket(scope, known.epoch)

    async def probe(self, scope: Scope, for_s: float) -> Ticket | None:
        """Return leave for one call of one that is half-open; `None` when others have it.

        Args:
            scope: whom to probe.
            for_s: seconds after which the call is given up for lost, longer than it can take.
        """
        now = self._now()
        known = self._memory.get(scope.key)
        if known is None or known.state(now) != "half-open":
            return None
        if known.probes(now) >= self.policy.probes:
            return None
        epoch, ends = known.epoch, now + for_s
        known.probing.append(ends)  # before the question: two of this process may ask at once
        try:
            permit = await self._permit(scope.key, epoch, for_s)
        except BaseException:
            _end_probe(known, ends)
            raise
        if permit is None or known.epoch != epoch:
            _end_probe(known, ends)
            if permit is not None:
                self._free(scope.key, epoch, *permit)
            return None
        known.machine.half_open()
        slot, revision = permit
        return Ticket(scope, epoch, is_probe=True, slot=slot, revision=revision)

    async def _permit(self, key: str, epoch: int, for_s: float) -> tuple[int, int | None] | None:
        if self._sharing is None:
            return 0, None
        if self._sharing.is_heard:
            try:
                return await self._sharing.take(key, epoch, self.policy.probes, for_s)
            except BrokerUnavailable:
                pass
        BREAKER_LOCAL.labels("permit").inc()
        return 0, None

    # After it

    def report(self, ticket: Ticket, outcome: Outcome, took_s: float = 0.0) -> None:
        """Say what came of a call; what is about an epoch that is over is dropped."""
        known = self._memory.get(ticket.scope.key)
        is_slow = took_s >= self.policy.slow_s
        if known is None:
            if ticket.epoch or outcome == "none" or (outcome == "good" and not is_slow):
                return
            known = self._memory.make(ticket.scope.key, self._now())
        if known is None or known.epoch != ticket.epoch:
            return
        now = known.used_at = self._now()
        if ticket.is_probe:
            self._probed(known, ticket, outcome)
        elif outcome != "none" and not known.is_open:
            why = known.count(now, self.policy, failed=outcome == "bad", slow=is_slow)
            if why is not None:
                self._open(known, why)
            elif known.window is not None and not (known.counts.failed or known.counts.slow):
                known.window = None  # it is well again
                if not known.epoch:
                    self._memory.drop(known.key)

    def abandon(self, ticket: Ticket) -> None:
        """Say that a call was not made, or broken off by us: that tells nothing of anybody."""
        self.report(ticket, "none")

    def pause(self, scope: Scope, for_s: float) -> None:
        """Leave it alone for so long, because it asked for that; all processes are told."""
        if for_s > 0:
            pause = Pause(self._clock(), for_s)
            self._on_pause(scope.key, pause)
            if self._sharing is not None:
                self._sharing.tell(scope.key, pause)

    def view(self, scope: Scope) -> View:
        """Return what is known of one."""
        now, clock = self._now(), self._clock()
        until = self._pauses.get(scope.key, 0.0)
        paused_until = clock + until - now if until > now else None
        known = self._memory.get(scope.key)
        if known is None:
            return View("closed", None, None, 0, 0, paused_until)
        state = known.state(now)
        ends = clock + known.until - now if state == "open" else None
        counts = known.counts
        return View(state, known.at, ends, counts.calls, counts.failed, paused_until)

    # What it comes to

    def _probed(self, known: Standing, ticket: Ticket, outcome: Outcome) -> None:
        if known.probing:
            known.probing.pop(0)
        BREAKER_PROBES.labels(outcome).inc()
        if outcome == "bad":
            self._open(known, "probe")
            return
        if outcome == "good":
            known.machine.succeeded()
            if known.machine.state == "closed":
                self._close(known)
                return
            if self._sharing is not None:
                self._do(self._sharing.add_good(known.key, known.epoch))
        if ticket.revision is not None:
            self._free(known.key, ticket.epoch, ticket.slot, ticket.revision)

    def _open(self, known: Standing, why: Why) -> None:
        opens = known.opens + 1
        rest_s = rules.rest_s(opens, self.policy, self._chance())
        known.why = why
        known.opened(known.epoch + 1, opens, at=self._clock(), now=self._now(), rest_s=rest_s)
        self._tell(known)
        self._changed(known, "open", why, is_ours=True)

    def _close(self, known: Standing) -> None:
        known.closed(known.epoch + 1, at=self._clock())
        self._tell(known)
        self._changed(known, "closed", "probed", is_ours=True)

    def _changed(self, known: Standing, state: State, why: Why, *, is_ours: bool) -> None:
        self._memory.note(known.key, is_open=state == "open")
        tenant_id, subject_id = tenant_and_subject(known.key)
        change = Change(
            key=known.key,
            tenant_id=tenant_id,
            subject_id=subject_id,
            state=state,
            why=why,
            epoch=known.epoch,
            rest_s=known.rest_s,
            calls=known.counts.calls,
            failed=known.counts.failed,
            is_ours=is_ours,
        )
        if is_ours:
            BREAKER_CHANGES.labels(state, why).inc()
            log.info(
                "breaker_changed",
                tenant=tenant_id,
                subject=subject_id,
                state=state,
                why=why,
                rest_s=round(known.rest_s, 3),
            )
        for hear in self.on_change:
            hear(change)

    # Others

    def _on_record(self, key: str, record: Record) -> None:
        """Take over what another process says, unless it is older than what is known here."""
        known = self._memory.get(key)
        if known is None:
            known = None if record.state == "closed" else self._memory.make(key, self._now())
        if known is None or not rules.supersedes(record, known.epoch):
            return
        is_open = record.state == "open"
        if known.is_open and is_open and known.opens == record.opens:
            known.epoch = record.epoch  # our own words, or as good as that
            self._catch_up(known, record.good)
            return
        now = self._now()
        if is_open:
            rest_s = rules.left_s(record.at, record.rest_s, self._clock())
            known.counts = rules.Counts(record.calls, record.failed)
            known.opened(record.epoch, record.opens, at=record.at, now=now, rest_s=rest_s)
            self._changed(known, "open", record.why, is_ours=False)
        elif known.is_open:
            known.closed(record.epoch, at=record.at)
            self._changed(known, "closed", record.why, is_ours=False)
        else:
            known.epoch = record.epoch

    def _catch_up(self, known: Standing, good: int) -> None:
        """Count others' probes that did well: between them they may close it."""
        if good and known.state(self._now()) == "half-open":
            known.machine.half_open()
            while known.is_open and known.machine.good < good:
                known.machine.succeeded()
            if not known.is_open:
                self._close(known)

    def _on_pause(self, key: str, pause: Pause) -> None:
        for_s = rules.left_s(pause.at, pause.for_s, self._clock())
        if for_s <= 0 or (key not in self._pauses and len(self._pauses) >= self._capacity):
            return
        self._pauses[key] = max(self._pauses.get(key, 0.0), self._now() + for_s)
        paused = Paused(*tenant_and_subject(key), for_s)
        for hear in self.on_pause:
            hear(paused)

    def _tell(self, known: Standing) -> None:
        if self._sharing is not None and known.at is not None:
            record = Record(
                state="open" if known.is_open else "closed",
                epoch=known.epoch,
                at=known.at,
                why=known.why if known.is_open else "probed",
                rest_s=known.rest_s,
                opens=known.opens,
                calls=known.counts.calls,
                failed=known.counts.failed,
            )
            self._sharing.tell(known.key, record)

    def _tell_all(self) -> None:
        for known in self._memory.opened():
            self._tell(known)

    async def _sweep_forever(self) -> NoReturn:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep()

    def sweep(self) -> None:
        """Forget what nobody has asked about for long."""
        now = self._now()
        self._memory.sweep(now)
        for key in [key for key, until in self._pauses.items() if until <= now]:
            del self._pauses[key]

    def _free(self, key: str, epoch: int, slot: int, revision: int | None) -> None:
        if self._sharing is not None and revision is not None:
            self._do(self._sharing.free(key, epoch, slot, revision))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._freeing.add(task)
        task.add_done_callback(self._freeing.discard)


def _end_probe(known: Standing, ends: float) -> None:
    if ends in known.probing:
        known.probing.remove(ends)
