"""`/v1/destinations/{id}/health`: whether a destination is called right now."""

from datetime import datetime

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency

from crossdock import ids
from crossdock.delivery.health.model import DestinationHealth, Standing
from crossdock.delivery.health.service import DestinationsHealth
from gateway.request import ApiRequest
from gateway.wire import Id, tagged


class DestinationHealthOut(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a destination is called right now."""

    destination_id: str
    breaker: Standing
    """`closed`: it is called. `open`: it is left alone. `half-open`: single deliveries try whether
    it is back. `forced-open` and `off`: by hand. `unknown`: workers can't be heard just now."""
    since: datetime | None
    """When the breaker changed last; `null` for one that has not lately."""
    until: datetime | None
    """Of an open one: when it is tried again."""
    failure_rate: float | None
    """Of the calls that opened it, 0 to 1; `null` for one that is closed."""
    paused_until: datetime | None
    """It asked to be left alone until then, by `Retry-After`."""
    waiting: int
    """Deliveries that are not finished; at most 10,000 are counted."""
    is_capped: bool
    """There are more."""


class DestinationHealthController(Controller):
    """Health of destinations."""

    path = "/v1/destinations"
    tags = ("Destinations",)

    @get("/{destination_id:str}/health", permissions={"destinations:read"})
    async def get_destination_health(
        self,
        request: ApiRequest,
        destinations_health: NamedDependency[DestinationsHealth],
        destination_id: Id,
    ) -> Response[DestinationHealthOut]:
        """Tell whether a destination is called, and what waits for it.

        Workers tell gateways of a change within a second; `unknown` says that they can't.
        """
        key = ids.decode("dst", destination_id)
        return tagged(_shown(await destinations_health.of(request.tenant_id, key)))


def _shown(found: DestinationHealth) -> DestinationHealthOut:
    return DestinationHealthOut(
        destination_id=ids.encode("dst", found.destination_id),
        breaker=found.breaker,
        since=found.since,
        until=found.until,
        failure_rate=round(found.failed / found.calls, 3) if found.calls else None,
        paused_until=found.paused_until,
        waiting=found.waiting,
        is_capped=found.is_capped,
    )
