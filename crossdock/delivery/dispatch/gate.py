"""Whether a destination may be called now: its breaker, its rate, and what it asked for itself.

What may not be called is neither attempted nor counted: it waits in PostgreSQL. A probe is one
delivery, and after a breaker has closed calls grow by the successes there are, from one.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from crossdock.breakers import rules as breaking
from crossdock.breakers.model import Change, Scope, Ticket
from crossdock.breakers.service import Breakers
from crossdock.delivery import rules
from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.dispatch.attempt import Attempted
from crossdock.delivery.dispatch.lines import Caps, Key
from crossdock.delivery.dispatch.rates import Rates
from crossdock.delivery.dispatch.targets import Ready
from crossdock.delivery.scopes import scope_of
from crossdock.telemetry.metrics import RATE_WAITS

PERMIT_MARGIN_S: Final = 10.0
"""A probe's permit outlives its call by so much: its claim and its turn take a moment, too."""
ASK_AGAIN_S: Final = 1.0
"""When to ask again for a permit that others have; that it closed is heard at once."""
SPREAD_S: Final = 1.0
"""Within which processes come back to a destination of which they hear that it works again."""
_KNOWN: Final = 10_000
_PAUSING: Final = frozenset({429, 503})


class _Leave(msgspec.Struct, frozen=True):
    ticket: Ticket
    ends: float


class Gate:
    """One for a dispatcher."""

    def __init__(
        self,
        breakers: Breakers,
        rates: Rates,
        caps: Caps,
        policy: RetryPolicy | None,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """Say by what to judge.

        Args:
            breakers: of destinations; what they hear of others comes here as well.
            rates: the table of permits.
            caps: how many calls there may be at most.
            policy: the retry policy of destinations that have none of their own.
            clock: unix seconds.
            monotonic: seconds that only grow.
            chance: a number in [0, 1).
        """
        self.breakers: Final = breakers
        self._rates = rates
        self._most = caps.destination
        self._policy = policy
        self._clock = clock
        self._now = monotonic
        self._chance = chance
        self._leaves: dict[Key, _Leave] = {}
        """Of half-open destinations whose next delivery may go."""
        self._asking: dict[Key, asyncio.Task[None]] = {}
        self._growing: dict[Key, int] = {}
        """Calls at once to destinations that have just come back."""
        self.on_leave: Callable[[Key], None] = lambda _: None
        """Called when a destination may be probed."""
        breakers.on_change.append(self._on_change)

    def pause_s(self, key: Key, ready: Ready, *, asks: bool = False) -> float | None:
        """Return the seconds to leave a destination alone; `None` when it may be called.

        Args:
            key: the destination's.
            ready: the destination.
            asks: there is something due: have leave to probe asked for, where that is needed.
        """
        target = ready.target
        whom = scope_of(target)
        if rest_s := self.breakers.rest(whom, target.breaker):
            return rest_s
        if self.breakers.is_half_open(whom, target.breaker) and not self._may_probe(key):
            if asks and key not in self._asking:
                for_s = target.timeout_s + PERMIT_MARGIN_S
                self._asking[key] = asyncio.create_task(self._ask(key, whom, for_s))
            return ASK_AGAIN_S * (1 + self._chance())
        if not self._rates.room(target):
            RATE_WAITS.inc()
            return self._rates.wait_s(target)
        return None

    def room(self, key: Key, ready: Ready, held: int) -> int:
        """Return how many deliveries may be claimed, where so many are here already."""
        if key in self._leaves:
            return 0 if held else 1
        return max(0, self._rates.room(ready.target) - held)

    def cap(self, key: Key, ready: Ready | None) -> int:
        """Return how many calls of a destination there may be at once."""
        most = self._growing.get(key, self._most) if self._growing else self._most
        if ready is not None and ready.target.concurrency is not None:
            return min(most, ready.target.concurrency)
        return most

    def enter(self, key: Key, ready: Ready) -> Ticket | float:
        """Return leave to call a destination now, or the seconds to leave it alone."""
        target = ready.target
        whom = scope_of(target)
        leave = self._leaves.get(key)
        if leave is None or not self.breakers.is_half_open(whom, target.breaker):
            ticket = self.breakers.enter(whom, target.breaker)
            if ticket is None:
                return self.breakers.rest(whom, target.breaker) or ASK_AGAIN_S
        elif not self._may_probe(key):
            return ASK_AGAIN_S
        else:
            ticket = leave.ticket
        if not self._rates.take(target):
            RATE_WAITS.inc()
            return self._rates.wait_s(target)
        self._leaves.pop(key, None)
        return ticket

    def unused(self, key: Key) -> None:
        """Give back leave to probe: there was nothing to send after all."""
        leave = self._leaves.pop(key, None)
        if leave is not None:
            self.breakers.abandon(leave.ticket)

    def judge(self, key: Key, ready: Ready, ticket: Ticket, attempted: Attempted) -> None:
        """Tell the breaker what came of a call, and all of us if the destination asks to wait."""
        result = attempted.result
        status = result.status if isinstance(result, rules.Answered) else None
        failure = result.kind if isinstance(result, rules.Failed) else None
        pause_s = 0.0
        if isinstance(result, rules.Answered) and status in _PAUSING:
            longest_s = rules.longest_wait(ready.target.retry or self._policy or RetryPolicy())
            wanted_s = rules.retry_after_s(result.retry_after, self._clock()) or 0.0
            pause_s = min(wanted_s, longest_s)
        outcome = breaking.outcome(status=status, failure=failure, asks_to_wait=pause_s > 0)
        if outcome == "good" and key in self._growing:
            self._growing[key] += 1
            if self._growing[key] >= self._most:
                del self._growing[key]
        self.breakers.report(ticket, outcome, attempted.took_s)
        if pause_s > 0:
            self.breakers.pause(ticket.scope, pause_s)

    def spread_s(self, change: Change) -> float:
        """Return when to come back to a destination that works again: not all of us at once."""
        return 0.0 if change.is_ours else SPREAD_S * self._chance()

    def stop(self) -> None:
        """Ask for nothing more, and give back what was not used."""
        for task in self._asking.values():
            task.cancel()
        for key in list(self._leaves):
            self.unused(key)

    def _may_probe(self, key: Key) -> bool:
        leave = self._leaves.get(key)
        if leave is not None and leave.ends < self._now():
            del self._leaves[key]  # its permit is about to end
            leave = None
        return leave is not None

    async def _ask(self, key: Key, whom: Scope, for_s: float) -> None:
        try:
            ends = self._now() + PERMIT_MARGIN_S / 2
            ticket = await self.breakers.probe(whom, for_s)
        finally:
            del self._asking[key]
        if ticket is not None:
            self._leaves[key] = _Leave(ticket, ends)
            self.on_leave(key)

    def _on_change(self, change: Change) -> None:
        key = change.tenant_id, change.subject_id
        self._leaves.pop(key, None)  # of an epoch that is over
        if change.state == "open":
            self._growing.pop(key, None)
        elif len(self._growing) < _KNOWN:
            self._growing[key] = 1
