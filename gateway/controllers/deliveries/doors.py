"""`/v1/deliveries`: what is on its way, and what came of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter, RequestBody
from msgspec import Meta

from crossdock import ids
from crossdock.delivery.model import (
    Attempt,
    Delivery,
    DeliveryDetail,
    DeliveryFilter,
    DeliveryState,
)
from crossdock.delivery.service import Deliveries
from crossdock.delivery.timeline.rules import redacted
from crossdock.errors import Invalid, Refused, Violation
from gateway.declarations import Atomic
from gateway.problems import Problem, problem
from gateway.request import ApiRequest
from gateway.wire import (
    DEFAULT_LIMIT,
    DELIVERY_ID,
    DESTINATION_ID,
    EVENT_ID,
    MOMENT,
    Cursor,
    Id,
    Limit,
    as_text,
    body_id,
    query_id,
    query_moment,
    tagged,
)

MAX_BATCH: Final = 100
"""Deliveries that are made again at once; more are a replay (`/v1/replays`)."""

State = Annotated[
    DeliveryState | None,
    QueryParameter(name="state", description="Only those in this state."),
]
DestinationId = Annotated[
    str | None,
    QueryParameter(pattern=DESTINATION_ID, description="Only those to this destination."),
]
EventId = Annotated[
    str | None, QueryParameter(pattern=EVENT_ID, description="Only those of this event.")
]
After = Annotated[
    str | None, QueryParameter(description="Made at this moment or later.", schema_extra=MOMENT)
]
Before = Annotated[
    str | None, QueryParameter(description="Made before this moment.", schema_extra=MOMENT)
]


class DeliveryOut(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one destination."""

    id: str
    event_id: str
    destination_id: str
    state: DeliveryState
    attempt_count: int
    next_attempt_at: datetime | None
    """`null` once it is finished, and while others of its line are before it."""
    last_status: int | None
    """What the destination answered last."""
    last_error: str | None
    reason: str | None
    """Why it is a dead letter."""
    replay_id: str | None
    """The bulk replay that made it."""
    created_at: datetime
    finished_at: datetime | None


class AttemptOut(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a destination."""

    id: str
    number: int
    started_at: datetime
    duration_ms: int
    status: int | None
    """`null` where there was no answer; `error` says why."""
    error: str | None
    request_headers: list[tuple[str, str]]
    """As they were sent; the values of those that may be secret are `***`."""
    request_body: str | None
    """The beginning of what was sent, where a transformation made it another than the event's."""
    request_body_base64: str | None
    """The same, where it is not UTF-8 text."""
    response_headers: list[tuple[str, str]]
    response_body: str | None
    """The beginning of the answer, where it is UTF-8 text."""
    response_body_base64: str | None
    """The same, where it is not."""


class DeliveryWithAttempts(DeliveryOut, frozen=True, kw_only=True):
    """A delivery with everything that was tried."""

    attempts: list[AttemptOut]


class DeliveryPage(msgspec.Struct, frozen=True):
    """Deliveries, newest first."""

    items: list[DeliveryOut]
    next_cursor: str | None


class DeliveryList(msgspec.Struct, frozen=True):
    """Deliveries made just now."""

    items: list[DeliveryOut]


class ReplaySome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Deliveries to make again."""

    ids: Annotated[
        # The pattern is told, and not checked twice: `body_id` reads ids.
        list[Annotated[str, Meta(extra_json_schema={"pattern": DELIVERY_ID})]],
        Meta(min_length=1, max_length=MAX_BATCH, extra_json_schema={"uniqueItems": True}),
    ]


class ReplayedItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one of them."""

    index: int
    """Its place in the request, from 0."""
    id: str
    status: int
    """As if it had been asked for alone: 201, or the problem's."""
    delivery: DeliveryOut | None = None
    """The new delivery."""
    problem: Problem | None = None
    """Why there is none."""


class ReplayedList(msgspec.Struct, frozen=True):
    """What became of each, in the order of the request."""

    items: list[ReplayedItem]


class DeliveryController(Controller):
    """Deliveries."""

    path = "/v1/deliveries"
    tags = ("Deliveries",)

    @get("/", permissions={"deliveries:read"})
    async def list_deliveries(
        self,
        *,
        request: ApiRequest,
        deliveries: NamedDependency[Deliveries],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        in_state: State = None,
        destination_id: DestinationId = None,
        event_id: EventId = None,
        created_after: After = None,
        created_before: Before = None,
    ) -> DeliveryPage:
        """List deliveries, newest first."""
        wanted = DeliveryFilter(
            state=in_state,
            destination_id=query_id("dst", "destination_id", destination_id),
            event_id=query_id("evt", "event_id", event_id),
            created_after=query_moment("created_after", created_after),
            created_before=query_moment("created_before", created_before),
        )
        return await page_of(request, deliveries, limit, cursor, wanted)

    @get("/{delivery_id:str}", permissions={"deliveries:read"})
    async def get_delivery(
        self, request: ApiRequest, deliveries: NamedDependency[Deliveries], delivery_id: Id
    ) -> Response[DeliveryWithAttempts]:
        """Show a delivery with its attempts."""
        key = ids.decode("dlv", delivery_id)
        return tagged(with_attempts(await deliveries.get(request.tenant_id, key)))

    @post("/replay", permissions={"deliveries:write"}, status_code=200, idempotency=Atomic())
    async def replay_deliveries(
        self,
        request: ApiRequest,
        deliveries: NamedDependency[Deliveries],
        data: RequestBody[ReplaySome],
    ) -> ReplayedList:
        """Deliver up to 100 again; each is answered for by itself, and none stops the others."""
        keys = [body_id("dlv", f"/ids/{index}", text) for index, text in enumerate(data.ids)]
        check_different(keys)
        outcomes = await deliveries.replay_some(request.tenant_id, keys)
        found = enumerate(zip(data.ids, outcomes, strict=True))
        return ReplayedList([_replayed(index, text, one) for index, (text, one) in found])

    @post("/{delivery_id:str}/replay", permissions={"deliveries:write"}, idempotency=Atomic())
    async def replay_delivery(
        self, request: ApiRequest, deliveries: NamedDependency[Deliveries], delivery_id: Id
    ) -> Response[DeliveryOut]:
        """Deliver the same event to the same destination again, as a new delivery."""
        key = ids.decode("dlv", delivery_id)
        made = shown(await deliveries.replay(request.tenant_id, key))
        return Response(made, headers={"Location": f"/v1/deliveries/{made.id}"})


async def page_of(
    request: ApiRequest,
    deliveries: Deliveries,
    limit: int,
    cursor: str | None,
    wanted: DeliveryFilter,
) -> DeliveryPage:
    """Return a page of deliveries as it is on the wire."""
    filters = msgspec.structs.asdict(wanted)
    window = request.window("deliveries", limit, cursor, filters)
    found = await deliveries.page(request.tenant_id, window, wanted)
    return DeliveryPage(
        [shown(item) for item in found.items], request.next_cursor("deliveries", found, filters)
    )


def check_different(keys: Sequence[UUID]) -> None:
    """Refuse ids that are there more than once.

    Raises:
        Invalid: some are.
    """
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    repeated = [
        Violation(f"/ids/{index}", "This id is there more than once.")
        for index, key in enumerate(keys)
        if first[key] != index
    ]
    if repeated:
        raise Invalid(None, *repeated)


def _replayed(index: int, text: str, outcome: Delivery | Refused) -> ReplayedItem:
    if isinstance(outcome, Delivery):
        return ReplayedItem(index=index, id=text, status=201, delivery=shown(outcome))
    status, where = outcome.status, f"/v1/deliveries/{text}"
    why = problem(status, outcome.problem, str(outcome), instance=where)
    return ReplayedItem(index=index, id=text, status=status, problem=why)


def shown(delivery: Delivery) -> DeliveryOut:
    """Return a delivery as it is on the wire."""
    return DeliveryOut(**_fields(delivery))


def with_attempts(detail: DeliveryDetail) -> DeliveryWithAttempts:
    """Return a delivery and its attempts as they are on the wire."""
    return DeliveryWithAttempts(
        **_fields(detail.delivery), attempts=[_attempt(item) for item in detail.attempts]
    )


def _fields(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": ids.encode("dlv", delivery.id),
        "event_id": ids.encode("evt", delivery.event_id),
        "destination_id": ids.encode("dst", delivery.destination_id),
        "state": delivery.state,
        "attempt_count": delivery.attempts,
        "next_attempt_at": delivery.due_at if delivery.state == "pending" else None,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "reason": delivery.reason,
        "replay_id": None if delivery.replay_id is None else ids.encode("rpl", delivery.replay_id),
        "created_at": ids.time_of(delivery.id),
        "finished_at": delivery.finished_at,
    }


def _attempt(attempt: Attempt) -> AttemptOut:
    text, encoded = as_text(attempt.response_body)
    sent, sent_encoded = (
        (None, None) if attempt.request_body is None else as_text(attempt.request_body)
    )
    return AttemptOut(
        id=ids.encode("att", attempt.id),
        number=attempt.number,
        started_at=ids.time_of(attempt.id),
        duration_ms=attempt.duration_ms,
        status=attempt.status,
        error=attempt.error,
        request_headers=redacted(attempt.request_headers),
        request_body=sent,
        request_body_base64=sent_encoded,
        response_headers=attempt.response_headers,
        response_body=text,
        response_body_base64=encoded,
    )
