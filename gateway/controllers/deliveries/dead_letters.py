"""`/v1/dead-letters`: deliveries that were given up."""

from typing import Annotated

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from crossdock import ids
from crossdock.delivery.model import DeliveryFilter
from crossdock.delivery.service import Deliveries
from gateway.controllers.deliveries.doors import (
    After,
    Before,
    DeliveryPage,
    DeliveryWithAttempts,
    DestinationId,
    page_of,
    with_attempts,
)
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Id, Limit, query_id, query_moment, tagged

Reason = Annotated[
    str | None,
    QueryParameter(
        max_length=64, pattern="^[a-z_]*$", description="Only dead letters of this class."
    ),
]


class ReasonCount(msgspec.Struct, frozen=True):
    """How many dead letters are of one class."""

    reason: str
    count: int


class DestinationCount(msgspec.Struct, frozen=True):
    """How many dead letters one destination has."""

    destination_id: str
    count: int


class DeadLetterSummary(msgspec.Struct, frozen=True):
    """How many dead letters there are of what."""

    total: int
    is_capped: bool
    """There are more: the newest 20,000 were looked at."""
    reasons: list[ReasonCount]
    """Most first."""
    destinations: list[DestinationCount]
    """Most first; at most 100."""


class DeadLetterController(Controller):
    """Dead letters: deliveries that were given up."""

    path = "/v1/dead-letters"
    tags = ("Dead letters",)

    @get("/", permissions={"dead-letters:read"})
    async def list_dead_letters(
        self,
        *,
        request: ApiRequest,
        deliveries: NamedDependency[Deliveries],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        destination_id: DestinationId = None,
        reason: Reason = None,
        created_after: After = None,
        created_before: Before = None,
    ) -> DeliveryPage:
        """List dead letters, newest first. One that is replayed is none any more."""
        wanted = DeliveryFilter(
            state="dead",
            destination_id=query_id("dst", "destination_id", destination_id),
            reason=reason,
            created_after=query_moment("created_after", created_after),
            created_before=query_moment("created_before", created_before),
        )
        return await page_of(request, deliveries, limit, cursor, wanted)

    @get("/summary", permissions={"dead-letters:read"})
    async def summarise_dead_letters(
        self,
        *,
        request: ApiRequest,
        deliveries: NamedDependency[Deliveries],
        destination_id: DestinationId = None,
        reason: Reason = None,
        created_after: After = None,
        created_before: Before = None,
    ) -> Response[DeadLetterSummary]:
        """Count dead letters by reason and by destination.

        The newest 20,000 are looked at: of the range of time, and of the destination that is named.
        """
        wanted = DeliveryFilter(
            state="dead",
            destination_id=query_id("dst", "destination_id", destination_id),
            reason=reason,
            created_after=query_moment("created_after", created_after),
            created_before=query_moment("created_before", created_before),
        )
        found = await deliveries.dead_summary(request.tenant_id, wanted)
        summary = DeadLetterSummary(
            total=found.total,
            is_capped=found.is_capped,
            reasons=[ReasonCount(name, count) for name, count in found.reasons],
            destinations=[
                DestinationCount(ids.encode("dst", key), count) for key, count in found.destinations
            ],
        )
        return tagged(summary)

    @get("/{delivery_id:str}", permissions={"dead-letters:read"})
    async def get_dead_letter(
        self, request: ApiRequest, deliveries: NamedDependency[Deliveries], delivery_id: Id
    ) -> Response[DeliveryWithAttempts]:
        """Show a dead letter with its attempts."""
        key = ids.decode("dlv", delivery_id)
        return tagged(with_attempts(await deliveries.dead_letter(request.tenant_id, key)))
