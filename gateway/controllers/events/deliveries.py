"""`/v1/events/{id}/deliveries`: where one event went, and where it goes again."""

from litestar import Controller, get, post
from litestar.di import NamedDependency

from crossdock import ids
from crossdock.delivery.model import DeliveryFilter
from crossdock.delivery.service import Deliveries
from gateway.controllers.deliveries.doors import DeliveryList, DeliveryPage, page_of, shown
from gateway.declarations import Atomic
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Id, Limit


class EventDeliveryController(Controller):
    """Deliveries of one event."""

    path = "/v1/events/{event_id:str}"
    tags = ("Events",)

    @get("/deliveries", permissions={"deliveries:read"})
    async def list_event_deliveries(
        self,
        *,
        request: ApiRequest,
        deliveries: NamedDependency[Deliveries],
        event_id: Id,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> DeliveryPage:
        """List an event's deliveries, newest first."""
        wanted = DeliveryFilter(event_id=ids.decode("evt", event_id))
        return await page_of(request, deliveries, limit, cursor, wanted)

    @post("/replay", permissions={"deliveries:write"}, idempotency=Atomic())
    async def replay_event(
        self, request: ApiRequest, deliveries: NamedDependency[Deliveries], event_id: Id
    ) -> DeliveryList:
        """Deliver an event again, to every destination that wants it now."""
        key = ids.decode("evt", event_id)
        made = await deliveries.replay_event(request.tenant_id, key)
        return DeliveryList([shown(item) for item in made])
