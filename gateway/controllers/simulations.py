"""`/v1/simulations`: what would become of a webhook, step by step."""

from typing import Annotated, Literal

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import Meta

from crossdock import ids
from crossdock.errors import Invalid, Violation
from crossdock.inbound.sources import examples
from crossdock.inbound.sources.examples import Example
from crossdock.routing.model import Why
from crossdock.simulations import Simulations, Step, Subject
from crossdock.simulations.model import StepName
from gateway.declarations import Apart
from gateway.request import ApiRequest
from gateway.wire import EVENT_ID, SOURCE_ID, body_id


class SimulationWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to send through the steps: a sample, an event or a request."""

    source_id: Annotated[str, Meta(pattern=SOURCE_ID)]
    sample: Annotated[str, Meta(max_length=64)] | None = None
    """The name of one of the samples of the source's preset."""
    event_id: Annotated[str, Meta(pattern=EVENT_ID)] | None = None
    """An event that is stored; its signature is not kept, so it is made anew."""
    request: Example | None = None
    """A request as it came; it is verified by this moment's clock."""
    deliver: bool = False
    """Really call the destinations that want it, once each, five at most. Nothing is recorded."""


class SimulatedViolation(msgspec.Struct, frozen=True, kw_only=True):
    """In what a payload breaks its schema."""

    pointer: str
    detail: str


class SimulatedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A destination that would get it, and what it answered if it was asked."""

    destination_id: str
    name: str
    status: int | None
    duration_ms: int | None
    error: str | None


class SimulatedMiss(msgspec.Struct, frozen=True, kw_only=True):
    """A destination that would not get it."""

    destination_id: str
    name: str
    why_not: Why
    """`source` or `type`: it wants others; `about`: it is the one that an alert is about; `filter`:
    that is not true; `filter_error`: that could not be judged."""
    detail: str | None
    """Of `filter_error`: what went wrong."""


class SimulatedStep(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one step."""

    name: StepName
    outcome: Literal["passed", "failed", "skipped"]
    detail: str
    event_type: str | None
    """Of `verify`: the type that was read off."""
    provider_id: str | None
    """Of `verify`: the provider's own id."""
    violations: list[SimulatedViolation]
    """Of `validate`; at most five."""
    destinations: list[SimulatedDelivery]
    """Of `match`, `transform` and `deliver`."""
    unwanting: list[SimulatedMiss]
    """Of `match`: enabled destinations that would not get it, and why."""


class SimulationOut(msgspec.Struct, frozen=True):
    """All steps, in their order: verify, validate, match, transform, deliver."""

    steps: list[SimulatedStep]


class SimulationController(Controller):
    """Simulations."""

    path = "/v1/simulations"
    tags = ("Sources",)

    @post(
        "/",
        permissions={"sources:write", "deliveries:write", "events:read"},
        status_code=200,
        idempotency=Apart(),
    )
    async def simulate(
        self,
        request: ApiRequest,
        simulations: NamedDependency[Simulations],
        data: RequestBody[SimulationWish],
    ) -> SimulationOut:
        """Run a webhook through all steps; nothing is stored, and delivered only if you say so."""
        done = await simulations.run(
            request.tenant_id,
            body_id("src", "/source_id", data.source_id),
            _subject(data),
            deliver=data.deliver,
        )
        return SimulationOut([_shown(step) for step in done.steps])


def _subject(wish: SimulationWish) -> Subject:
    if sum(one is not None for one in (wish.sample, wish.event_id, wish.request)) != 1:
        detail = "Name one of `sample`, `event_id` and `request`."
        raise Invalid(None, Violation("", detail))
    return Subject(
        sample=wish.sample,
        event_id=None if wish.event_id is None else body_id("evt", "/event_id", wish.event_id),
        request=None if wish.request is None else examples.read(wish.request, "/request"),
    )


def _shown(step: Step) -> SimulatedStep:
    return SimulatedStep(
        name=step.name,
        outcome=step.outcome,
        detail=step.detail,
        event_type=step.event_type,
        provider_id=step.provider_id,
        violations=[
            SimulatedViolation(pointer=one.pointer, detail=one.detail) for one in step.violations
        ],
        destinations=[
            SimulatedDelivery(
                destination_id=ids.encode("dst", one.destination_id),
                name=one.name,
                status=one.status,
                duration_ms=one.duration_ms,
                error=one.error,
            )
            for one in step.destinations
        ],
        unwanting=[
            SimulatedMiss(
                destination_id=ids.encode("dst", one.destination_id),
                name=one.name,
                why_not=one.why_not,
                detail=one.detail,
            )
            for one in step.unwanting
        ],
    )
