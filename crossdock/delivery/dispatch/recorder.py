"""Writes down what came of attempts, many in one transaction.

An attempt's slot is free as soon as it is handed over here. While the database is away nothing is
lost that a lease doesn't bring back: results are kept until their leases end, and the dispatcher
starts no new attempts meanwhile.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final

import msgspec
import structlog
from msgspec.structs import replace

from crossdock import native
from crossdock.db.database import Database
from crossdock.db.uuids import uuid_of
from crossdock.delivery import rules
from crossdock.delivery.destinations.model import DisabledReason
from crossdock.delivery.dispatch import store
from crossdock.delivery.dispatch.lines import Key
from crossdock.delivery.dispatch.store import Settled
from crossdock.delivery.model import Cargo, Leased, Target
from crossdock.delivery.order import store as order
from crossdock.delivery.order.model import Line
from crossdock.delivery.stats.writer import Tally
from crossdock.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

_OF_SCRIPTS: Final = frozenset({"transformed_away", "transform_failed"})
"""Nobody was called: it says nothing of the destination."""
BATCH: Final = 500
"""Results in one transaction."""
LINGER_S: Final = 0.01
"""How long the first result waits for others."""
REST_S: Final = 0.05
"""How long after the last ones: under load, few transactions with many results in each."""
ORDERED_LINGER_S: Final = 0.002
"""The same where a line waits for it: its next delivery begins when this one's end is written."""
DIRECTLY: Final = 32
"""Lines whose next is leased in the transaction that ends the last: with their bodies in memory."""
ORPHANS: Final = 1000
"""Of a line whose destination was deleted, cancelled with the one that found out."""
_UNRECORDED: Final = "internal: the answer could not be recorded"
_RETRY_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)


class Outcome(msgspec.Struct, frozen=True):
    """What came of an attempt, and what it says about the destination it called."""

    settled: Settled
    target: Target | None = None
    """As it was when it was called; `None` where there was no attempt."""


class _Turn(msgspec.Struct, frozen=True):
    """What goes next in lines that ended."""

    due: Collection[Key] = ()
    leased: list[tuple[Leased, Cargo | None]] = []


class Recorder:
    """One for a dispatcher."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._now = time.monotonic
        self._wrote_at = 0.0
        self._outcomes: deque[Outcome] = deque()
        self._unused: deque[tuple[Leased, float]] = deque()
        self._batch = BATCH
        self._more = asyncio.Event()
        self._urgent = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.tally: Final = Tally(database, clock)
        """Counts what is on record."""
        self.is_behind = False
        """The database is away, or too slow: don't make more results."""
        self.written = 0
        """Results that are on record."""
        self.fenced = 0
        """Results whose lease another worker had taken over."""
        self.lost = 0
        """Results whose lease ended while the database was away."""
        self.on_changed: Callable[[Key], None] = lambda _: None
        """Called for a destination whose row was changed here."""
        self.on_promoted: Callable[[Collection[Key]], None] = lambda _: None
        """Called for destinations in which an end that was written made the next of a line due."""
        self.next_lease_s: Callable[[], float] = lambda: 0.0
        """For how long to lease the next of lines; zero where there is no room for them."""
        self.on_leased: Callable[[list[tuple[Leased, Cargo | None]]], None] = lambda _: None
        """Called with the next of lines that were leased when the last were written."""
        self.on_resumed: Callable[[], None] = lambda: None
        """Called when it is no longer behind."""

    def add(self, outcome: Outcome) -> None:
        """Hand over what came of a leased delivery."""
        self._outcomes.append(outcome)
        if _line_ended(outcome.settled) is not None or len(self._outcomes) >= BATCH:
            self._urgent.set()
        self._wake()

    def release(self, leased: Leased, due_in_s: float = 0.0) -> None:
        """Hand back a lease that wasn't used."""
        self._unused.append((leased, due_in_s))
        self._wake()

    async def run(self) -> None:
        """Write until cancelled; `flushed` tells when all is written."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.tally.run())
            tasks.create_task(self._write_forever())

    async def _write_forever(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            failures = 0
            while self._outcomes or self._unused:
                if not failures and self._batch == BATCH:
                    await self._linger()
                try:
                    await self._write(self._batch)
                except DatabaseUnavailable as error:
                    self.is_behind = True
                    if failures == 0:
                        log.warning("recording_waits", reason=str(error))
                    await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                    failures += 1
                    self._drop_ended()
                except Exception as error:  # noqa: BLE001 - logged with what it is about
                    self._single_out(error)
                else:
                    if failures:
                        log.info("recording_resumes", lost=self.lost)
                    failures = 0
                    self._batch = min(BATCH, 2 * self._batch)
                    self._wrote_at = self._now()
                    self.is_behind = len(self._outcomes) > 4 * BATCH
            if self.is_behind:
                self.is_behind = False
                self.on_resumed()
            self._idle.set()

    async def _linger(self) -> None:
        """Let others join the first result, for as long as nobody waits for it."""
        if len(self._outcomes) < BATCH:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(LINGER_S, self._wrote_at + REST_S - self._now())):
                    await self._urgent.wait()
                    await asyncio.sleep(ORDERED_LINGER_S)
        self._urgent.clear()

    async def flushed(self) -> None:
        """Wait until everything handed over so far is written, and counted."""
        await self._idle.wait()
        await self.tally.finish()

    def _wake(self) -> None:
        self._idle.clear()
        self._more.set()

    def _single_out(self, error: Exception) -> None:
        """Write on, one by one, after an error that is about a result itself.

        That one is written without what its destination said, and given up if even that fails.
        """
        if self._batch > 1:
            self._batch = 1
            return
        if not self._outcomes:
            log.error("release_broke", exc_info=error)
            self._unused.clear()  # their leases end by themselves
            return
        outcome = self._outcomes.popleft()
        attempt = outcome.settled.attempt
        log.error("result_broke", delivery=outcome.settled.leased.id, exc_info=error)
        if attempt is not None and attempt.error != _UNRECORDED:
            bare = replace(attempt, error=_UNRECORDED, response_headers=[], response_body=b"")
            settled = replace(outcome.settled, error=_UNRECORDED, attempt=bare)
            self._outcomes.appendleft(replace(outcome, settled=settled))

    async def _write(self, most: int) -> None:
        batch = list(islice(self._outcomes, most))
        unused = list(islice(self._unused, BATCH))
        settled = [outcome.settled for outcome in batch]
        tenants = {one.leased.tenant_id for one in settled}
        tenants.update(leased.tenant_id for leased, _ in unused)
        changes, disabled = verdicts(batch)
        lines = {one.leased.id: line for one in settled if (line := _line_ended(one)) is not None}
        turn = _Turn()
        async with self._database.batch("dispatch", tenants) as conn:
            if lines:
                await order.share(conn, {line[0] for line in lines.values()})
            ours = await store.settle(conn, settled) if settled else set()
            if lines:
                await self._cancel_orphans(conn, [one for one in settled if one.leased.id in ours])
                turn = await self._move(conn, {lines[one] for one in ours if one in lines})
            if unused:
                await store.release(conn, unused)
            if changes or disabled:
                await store.lock_destinations(conn, [*changes, *disabled])
                await store.mark_failing(conn, changes)
                await store.disable(conn, disabled)
        for _ in batch:
            self._outcomes.popleft()
        for _ in unused:
            self._unused.popleft()
        self.tally.add(one for one in settled if one.leased.id in ours)
        self.written += len(ours)
        self.fenced += len(settled) - len(ours)
        self.on_promoted(turn.due)
        if turn.leased:
            self.on_leased(turn.leased)
        for key, reason in disabled.items():
            log.warning("destination_disabled", tenant=key[0], destination=key[1], reason=reason)
        for key in (*changes, *disabled):
            self.on_changed(key)

    async def _move(self, conn: Any, lines: Collection[Line]) -> "_Turn":
        """Make the next of lines due, or lease it: to claim it would cost another commit."""
        lease_s = self.next_lease_s()
        if not lease_s or len(lines) > DIRECTLY:
            return _Turn(due=await order.promote_many(conn, lines))
        now = self._clock()
        found = await order.lease_next(
            conn,
            lines,
            lease=uuid_of(native.uuid7(int(now * 1000))),
            lease_s=lease_s,
            lease_ends=now + lease_s,
        )
        return _Turn(leased=await store.cargoes(conn, found) if found else [])

    async def _cancel_orphans(self, conn: Any, ended: Sequence[Settled]) -> None:
        """Cancel what waits in the lines of deleted destinations: nothing there can succeed."""
        lines = {
            line
            for one in ended
            if one.reason == "destination_deleted" and (line := _line_ended(one)) is not None
        }
        if lines:
            await order.cancel_orphans(conn, lines, ORPHANS)

    def _drop_ended(self) -> None:
        """Forget results whose lease has ended: those deliveries are due again by themselves."""
        now = self._clock()
        kept = [one for one in self._outcomes if one.settled.leased.lease_ends > now]
        self.lost += len(self._outcomes) - len(kept)
        self._outcomes = deque(kept)
        self._unused = deque(one for one in self._unused if one[0].lease_ends > now)


def _line_ended(settled: Settled) -> Line | None:
    """Return the line that this was under way in, and no longer is."""
    line = settled.leased.line
    if line is None or settled.state == "pending":
        return None
    return (*settled.key, line)


def verdicts(
    batch: Sequence[Outcome],
) -> tuple[dict[Key, bool], dict[Key, DisabledReason]]:
    """Return which destinations begin or end to fail, and which are to be switched off.

    A success among failures ends them: whoever fails next begins anew. A 410 stands.
    """
    changes: dict[Key, bool] = {}
    disabled: dict[Key, DisabledReason] = {}
    for outcome in batch:
        settled, target = outcome.settled, outcome.target
        if target is None or settled.reason in _OF_SCRIPTS:
            continue
        key = settled.key
        if settled.state == "delivered":
            if disabled.get(key) == "failing":
                del disabled[key]
            if target.failing_s is not None:
                changes[key] = False
            else:
                changes.pop(key, None)
        elif settled.reason == "gone":
            disabled[key] = "gone"
        elif target.failing_s is None:
            changes[key] = True
        elif key not in changes and rules.is_given_up(target.failing_s):
            disabled.setdefault(key, "failing")
    return changes, disabled
