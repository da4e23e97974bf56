"""One attempt: sign, call, decide, and say what came of it."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog

from crossdock import native
from crossdock.db.uuids import uuid_of
from crossdock.delivery import rules
from crossdock.delivery.client import CallFailed, Client, Response
from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.dispatch.store import Settled
from crossdock.delivery.dispatch.targets import Ready
from crossdock.delivery.model import Attempt, Cargo, Leased, Target
from crossdock.telemetry import metrics

if TYPE_CHECKING:
    from crossdock.delivery.model import DeliveryState

log = structlog.get_logger(__name__)

_DELIVERED: Final = metrics.DELIVERY_ATTEMPTS.labels("delivered")
_FAILED: Final = metrics.DELIVERY_ATTEMPTS.labels("retry")
_DEAD: Final = metrics.DELIVERY_ATTEMPTS.labels("dead")
_REACHED: Final = frozenset({"read", "odd", "internal"})


class Attempted(msgspec.Struct, frozen=True):
    """What came of an attempt."""

    settled: Settled
    reached: bool
    """The destination, or something in its place, was there: its breaker need not open."""


class Attempter:
    """Makes attempts; holds nothing between them."""

    def __init__(
        self,
        client: Client,
        timeout_s: float,
        policy: RetryPolicy | None,
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._policy = policy
        self._clock = clock
        self._chance = chance

    def timeout(self, target: Target) -> float:
        """Return the seconds that an attempt may take."""
        return min(target.timeout_s, self._timeout_s)

    async def attempt(self, leased: Leased, cargo: Cargo, ready: Ready) -> Attempted:
        """Call the destination once; whatever happens is part of the answer."""
        attempt_id = uuid_of(native.uuid7(int(self._clock() * 1000)))
        started = time.perf_counter()
        answer = await self._call(cargo, ready)
        took = time.perf_counter() - started
        metrics.DELIVERY_SECONDS.tally(took)
        number = leased.attempts + 1
        decision = self._decide(leased, answer, ready, number)
        error = answer.note if isinstance(answer, Response) else str(answer)
        attempt = Attempt(
            id=attempt_id,
            delivery_id=leased.id,
            number=number,
            duration_ms=round(took * 1000),
            status=answer.status if isinstance(answer, Response) else None,
            error=error,
            response_headers=answer.headers if isinstance(answer, Response) else [],
            response_body=answer.body if isinstance(answer, Response) else b"",
        )
        reached = isinstance(answer, Response) or answer.kind in _REACHED
        return Attempted(self._settled(leased, cargo, attempt, decision), reached)

    async def _call(self, cargo: Cargo, ready: Ready) -> Response | CallFailed:
        try:
            headers = ready.headers(cargo, self._clock())
            return await self._client.post(
                ready.url, headers, cargo.body, self.timeout(ready.target)
            )
        except CallFailed as failure:
            return failure
        except Exception as error:
            # Ours to mend (a secret that doesn't open, say), and no reason to lose a delivery.
            target = ready.target
            log.exception("attempt_broke", tenant=target.tenant_id, destination=target.id)
            return CallFailed("internal", type(error).__name__)

    def _decide(
        self, leased: Leased, answer: Response | CallFailed, ready: Ready, number: int
    ) -> rules.Decision:
        now = self._clock()
        result: rules.Answered | rules.Failed = (
            rules.Answered(answer.status, answer.retry_after)
            if isinstance(answer, Response)
            else rules.Failed(answer.kind)
        )
        return rules.decide(
            result,
            ready.target.retry or self._policy,
            attempts=number,
            age_s=now - _made_at(leased.id),
            now=now,
            chance=self._chance(),
        )

    def _settled(
        self, leased: Leased, cargo: Cargo, attempt: Attempt, decision: rules.Decision
    ) -> Settled:
        state: DeliveryState = "pending"
        due_in_s, reason = 0.0, None
        match decision:
            case rules.Deliver():
                _DELIVERED.inc()
                latency = self._clock() - _made_at(cargo.event_id)
                metrics.DELIVERY_LATENCY_SECONDS.tally(max(0.0, latency))
                state = "delivered"
            case rules.Retry():
                _FAILED.inc()
                due_in_s = decision.delay_s
            case rules.Bury():
                _DEAD.inc()
                metrics.DEAD_LETTERS.labels(decision.reason).inc()
                state, reason = "dead", decision.reason
        return Settled(
            leased,
            state,
            attempt.number,
            due_in_s=due_in_s,
            status=attempt.status,
            error=attempt.error,
            reason=reason,
            attempt=attempt,
        )


def _made_at(value: UUID) -> float:
    """Return the unix seconds in a UUIDv7; `ids.time_of` makes a datetime of them first."""
    return int.from_bytes(value.bytes[:6], "big") / 1000
