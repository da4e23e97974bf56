"""`/v1/destinations/{id}/stats`: how a destination has done lately."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from crossdock import ids
from crossdock.delivery.stats import rules
from crossdock.delivery.stats.model import Backlog, Counts, Hour
from crossdock.delivery.stats.service import Stats
from gateway.request import ApiRequest
from gateway.wire import Id, tagged

Hours = Annotated[
    int,
    QueryParameter(
        ge=1, le=168, description="How many hours, the one that has just begun included."
    ),
]


class CountsOut(msgspec.Struct, frozen=True, kw_only=True):
    """What came of some attempts."""

    delivered: int
    failed: int
    """Attempts that failed, whether or not the delivery was tried again."""
    dead: int
    """Deliveries that became dead letters."""
    success_rate: float | None
    """Of attempts, 0 to 1; `null` where there was none."""
    p50_ms: float | None
    """Half of all attempts took no longer; this and the next are up to a tenth off."""
    p95_ms: float | None
    p99_ms: float | None


class HourOut(CountsOut, frozen=True, kw_only=True):
    """What came of the attempts of one hour."""

    hour: datetime
    """When it began."""


class BacklogOut(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for it now."""

    pending: int
    """Deliveries that are not finished; at most 10,000 are counted."""
    is_capped: bool
    """There are more."""
    oldest_at: datetime | None
    """When the oldest of those was made."""
    next_due_at: datetime | None
    """When the next attempt is due, of those that are not under way."""


class DestinationStats(msgspec.Struct, frozen=True, kw_only=True):
    """How a destination has done lately."""

    destination_id: str
    total: CountsOut
    hours: list[HourOut]
    """Each of them, the oldest first."""
    backlog: BacklogOut


class DestinationStatsController(Controller):
    """How destinations do."""

    path = "/v1/destinations"
    tags = ("Destinations",)

    @get("/{destination_id:str}/stats", permissions={"destinations:read"})
    async def get_destination_stats(
        self,
        request: ApiRequest,
        stats: NamedDependency[Stats],
        destination_id: Id,
        hours: Hours = 24,
    ) -> Response[DestinationStats]:
        """Tell how a destination has done in the last hours: kept for 30 days, asked for a week.

        Workers write what they count every two seconds.
        """
        key = ids.decode("dst", destination_id)
        found = await stats.of(request.tenant_id, key, hours)
        shown = DestinationStats(
            destination_id=ids.encode("dst", found.destination_id),
            total=_counts(found.total),
            hours=[_hour(one) for one in found.hours],
            backlog=_backlog(found.backlog),
        )
        return tagged(shown)


def _counts(counts: Counts) -> CountsOut:
    return CountsOut(
        delivered=counts.delivered,
        failed=counts.failed,
        dead=counts.dead,
        success_rate=rules.success_rate(counts),
        p50_ms=rules.percentile(counts.durations, 0.5),
        p95_ms=rules.percentile(counts.durations, 0.95),
        p99_ms=rules.percentile(counts.durations, 0.99),
    )


def _hour(one: Hour) -> HourOut:
    return HourOut(hour=one.hour, **msgspec.structs.asdict(_counts(one.counts)))


def _backlog(backlog: Backlog) -> BacklogOut:
    return BacklogOut(
        pending=backlog.pending,
        is_capped=backlog.is_capped,
        oldest_at=None if backlog.oldest is None else ids.time_of(backlog.oldest),
        next_due_at=backlog.next_due_at,
    )
