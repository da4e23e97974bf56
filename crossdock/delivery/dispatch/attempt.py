"""One attempt: sign, call, decide, and say what came of it."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import structlog

from crossdock import native
from crossdock.db.uuids import uuid_of
from crossdock.delivery import rules
from crossdock.delivery.destinations.model import Kind, RetryPolicy
from crossdock.delivery.dispatch.store import Settled
from crossdock.delivery.dispatch.targets import Ready
from crossdock.delivery.dispatch.transforming import Away, Sent, Unsendable, transform
from crossdock.delivery.exchange import CallFailed, Response
from crossdock.delivery.kinds.parcel import NONE, Carrier, Parcel
from crossdock.delivery.model import BODY_KEPT, Attempt, Cargo, Leased, Target
from crossdock.errors import DatabaseUnavailable
from crossdock.telemetry import metrics
from crossdock.transforms.service import Sandbox

if TYPE_CHECKING:
    from crossdock.delivery.model import DeliveryState

log = structlog.get_logger(__name__)

_DELIVERED: Final = metrics.DELIVERY_ATTEMPTS.labels("delivered")
_FAILED: Final = metrics.DELIVERY_ATTEMPTS.labels("retry")
_DEAD: Final = metrics.DELIVERY_ATTEMPTS.labels("dead")
_UNCALLED: Final = rules.Failed("transform")
"""It says nothing of the destination."""


class Attempted(msgspec.Struct, frozen=True):
    """What came of an attempt."""

    settled: Settled
    result: rules.Answered | rules.Failed
    """What it says of the destination."""
    took_s: float


class Attempter:
    """Makes attempts; holds nothing between them."""

    def __init__(
        self,
        carriers: Mapping[Kind, Carrier],
        timeout_s: float,
        policy: RetryPolicy | None,
        clock: Callable[[], float],
        chance: Callable[[], float],
        *,
        sandbox: Sandbox | None = None,
    ) -> None:
        self._carriers = carriers
        self._sandbox = sandbox
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
        plain = ready.target.transform is None
        load = Sent(cargo) if plain else await self._transformed(leased, cargo, ready)
        if isinstance(load, Away):
            settled = Settled(leased, "cancelled", leased.attempts, reason="transformed_away")
            return Attempted(settled, _UNCALLED, time.perf_counter() - started)
        headers, answer = await self._call(leased, load, ready)
        took = time.perf_counter() - started
        metrics.DELIVERY_SECONDS.tally(took)
        number = leased.attempts + 1
        result = _result(answer)
        decision: rules.Decision = rules.Bury("transform_failed")
        if not isinstance(answer, Unsendable):
            decision = self._decide(leased, result, ready, number)
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
            request_headers=_told(ready, headers, cargo, load),
            request_body=_kept(cargo, load),
        )
        return Attempted(self._settled(leased, cargo, attempt, decision), result, took)

    async def _transformed(
        self, leased: Leased, cargo: Cargo, ready: Ready
    ) -> Sent | Away | CallFailed:
        """Return what the destination's script makes of the event."""
        left_s = leased.lease_ends - self._clock() - self.timeout(ready.target)
        try:
            return await transform(self._sandbox, ready.target, cargo, left_s)
        except CallFailed as failure:
            return failure

    async def _call(
        self, leased: Leased, load: Sent | CallFailed, ready: Ready
    ) -> tuple[Mapping[str, str], Response | CallFailed]:
        """Return the headers that went along, as far as they were made, and what came of it."""
        target, headers = ready.target, NONE
        if isinstance(load, CallFailed):
            return headers, load
        try:
            carrier = self._carriers[target.kind]
            headers = carrier.label(load.cargo, ready, self._clock(), load.headers)
            parcel = Parcel(leased, load.cargo, headers)
            return headers, await carrier.carry(parcel, ready, self.timeout(target))
        except CallFailed as failure:
            return headers, failure
        except DatabaseUnavailable:
            raise  # nothing was sent: the lease brings it back
        except Exception as error:
            # Ours to mend (a secret that doesn't open, say), and no reason to lose a delivery.
            log.exception("attempt_broke", tenant=target.tenant_id, destination=target.id)
            return headers, CallFailed("internal", type(error).__name__)

    def _decide(
        self, leased: Leased, result: rules.Answered | rules.Failed, ready: Ready, number: int
    ) -> rules.Decision:
        now = self._clock()
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


def _told(
    ready: Ready, headers: Mapping[str, str], cargo: Cargo, load: Sent | CallFailed
) -> list[tuple[str, str]]:
    """Return the headers that are kept: of a sealed event without what a script put into them."""
    if not headers:
        return []
    told = ready.told(headers)
    if cargo.data_key is None or isinstance(load, CallFailed):
        return told
    theirs = {name.lower() for name in load.headers}
    return [(name, value) for name, value in told if name.lower() not in theirs]


def _kept(cargo: Cargo, load: Sent | CallFailed) -> bytes | None:
    """Return what is kept of a body that was sent instead of the event's.

    Nothing if that is sealed: what was made of it may not rest in plain either.
    """
    if isinstance(load, CallFailed) or load.cargo is cargo or cargo.data_key is not None:
        return None
    return load.cargo.body[:BODY_KEPT]


def _result(answer: Response | CallFailed) -> rules.Answered | rules.Failed:
    if isinstance(answer, Response):
        return rules.Answered(answer.status, answer.retry_after)
    return rules.Failed(answer.kind)


def _made_at(value: UUID) -> float:
    """Return the unix seconds in a UUIDv7; `ids.time_of` makes a datetime of them first."""
    return int.from_bytes(value.bytes[:6], "big") / 1000
