"""Deliveries called off: one, some, or all that wait for a destination."""

from typing import Annotated

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import Meta

from crossdock import ids
from crossdock.delivery.cancel.service import Cancelling
from crossdock.delivery.model import Delivery
from crossdock.errors import Refused
from gateway.controllers.deliveries.doors import MAX_BATCH, DeliveryOut, check_different, shown
from gateway.declarations import Atomic
from gateway.problems import Problem, problem
from gateway.request import ApiRequest
from gateway.wire import DELIVERY_ID, Id, body_id


class CancelSome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Deliveries to cancel."""

    ids: Annotated[
        # The pattern is told, and not checked twice: `body_id` reads ids.
        list[Annotated[str, Meta(extra_json_schema={"pattern": DELIVERY_ID})]],
        Meta(min_length=1, max_length=MAX_BATCH, extra_json_schema={"uniqueItems": True}),
    ]


class CancelledItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one of them."""

    index: int
    """Its place in the request, from 0."""
    id: str
    status: int
    """As if it had been asked for alone: 200, or the problem's."""
    delivery: DeliveryOut | None = None
    """As it is now."""
    problem: Problem | None = None
    """Why it was not cancelled."""


class CancelledList(msgspec.Struct, frozen=True):
    """What became of each, in the order of the request."""

    items: list[CancelledItem]


class CancelledPendingOut(msgspec.Struct, frozen=True):
    """What one call cancelled."""

    cancelled: int
    has_more: bool
    """It took as many as one call may: ask again."""


class CancelSomeController(Controller):
    """Some deliveries called off."""

    path = "/v1/deliveries/cancel"
    tags = ("Deliveries",)

    @post("/", permissions={"deliveries:write"}, status_code=200, idempotency=Atomic())
    async def cancel_deliveries(
        self,
        request: ApiRequest,
        cancelling: NamedDependency[Cancelling],
        data: RequestBody[CancelSome],
    ) -> CancelledList:
        """Cancel up to 100; each is answered for by itself, and none stops the others."""
        keys = [body_id("dlv", f"/ids/{index}", text) for index, text in enumerate(data.ids)]
        check_different(keys)
        outcomes = await cancelling.cancel_some(request.tenant_id, keys)
        found = enumerate(zip(data.ids, outcomes, strict=True))
        return CancelledList([_item(index, text, one) for index, (text, one) in found])


class CancelController(Controller):
    """One delivery called off."""

    path = "/v1/deliveries/{delivery_id:str}/cancel"
    tags = ("Deliveries",)

    @post("/", permissions={"deliveries:write"}, status_code=200, idempotency=Atomic())
    async def cancel_delivery(
        self, request: ApiRequest, cancelling: NamedDependency[Cancelling], delivery_id: Id
    ) -> DeliveryOut:
        """Cancel a delivery that waits, or discard a dead letter.

        An attempt that is under way may arrive still; what it comes to is dropped. To repeat it
        changes nothing.
        """
        key = ids.decode("dlv", delivery_id)
        return shown(await cancelling.cancel(request.tenant_id, key))


class CancelPendingController(Controller):
    """What waits for one destination, called off."""

    path = "/v1/destinations/{destination_id:str}/cancel-pending"
    tags = ("Destinations",)

    @post("/", permissions={"deliveries:write"}, status_code=200, idempotency=Atomic())
    async def cancel_pending(
        self, request: ApiRequest, cancelling: NamedDependency[Cancelling], destination_id: Id
    ) -> CancelledPendingOut:
        """Cancel what waits for a destination, up to 1,000 a call; dead letters stay."""
        key = ids.decode("dst", destination_id)
        found = await cancelling.cancel_pending(request.tenant_id, key)
        return CancelledPendingOut(found.cancelled, found.has_more)


def _item(index: int, text: str, outcome: Delivery | Refused) -> CancelledItem:
    if isinstance(outcome, Delivery):
        return CancelledItem(index=index, id=text, status=200, delivery=shown(outcome))
    status, where = outcome.status, f"/v1/deliveries/{text}"
    why = problem(status, outcome.problem, str(outcome), instance=where)
    return CancelledItem(index=index, id=text, status=status, problem=why)
