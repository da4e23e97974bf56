"""The use cases of deliveries: listed and shown, dead letters among them, and made again."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from msgspec.structs import replace

from crossdock.db import Databases
from crossdock.delivery import again, rules, store
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.model import Delivery, DeliveryDetail, DeliveryFilter
from crossdock.errors import Conflict, NotFound, Refused
from crossdock.inbound.events.service import Events
from crossdock.inbound.model import DELIVERED
from crossdock.paging import Slice, Window


class Deliveries:
    """Lists and shows deliveries, dead letters among them, and makes single ones again."""

    def __init__(
        self,
        database: Databases,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._events = Events(database)
        self._clock = clock

    async def page(
        self, tenant_id: UUID, window: Window, wanted: DeliveryFilter
    ) -> Slice[Delivery]:
        """Return a page of deliveries, newest first; dead letters are those in state `dead`.

        Raises:
            NotFound: they are wanted of an event that this tenant doesn't have.
        """
        if wanted.event_id is not None:
            event_id = await self._events.resolve(tenant_id, wanted.event_id)
            wanted = replace(wanted, event_id=event_id)
        async with self._database.tenant(tenant_id) as conn:
            rows = await store.page_deliveries(conn, tenant_id, window, wanted)
        return Slice.cut(rows, window)

    async def get(self, tenant_id: UUID, delivery_id: UUID) -> DeliveryDetail:
        """Return one delivery with its attempts.

        Raises:
            NotFound: this tenant has no such delivery.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get_delivery(conn, tenant_id, delivery_id)
            if found is None:
                raise NotFound
            attempts = await store.attempts_of(conn, tenant_id, delivery_id)
        return DeliveryDetail(found, tuple(attempts))

    async def dead_letter(self, tenant_id: UUID, delivery_id: UUID) -> DeliveryDetail:
        """Return one dead letter with its attempts.

        Raises:
            NotFound: this tenant has no such delivery, or it isn't a dead letter.
        """
        found = await self.get(tenant_id, delivery_id)
        if found.delivery.state != "dead":
            raise NotFound
        return found

    async def replay(self, tenant_id: UUID, delivery_id: UUID) -> Delivery:
        """Deliver the same event to the same destination again, as a new delivery.

        Raises:
            NotFound: this tenant has no such delivery.
            Conflict: it is under way or was replayed, or its event or destination is gone.
        """
        (outcome,) = await self.replay_some(tenant_id, [delivery_id])
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    async def replay_some(
        self, tenant_id: UUID, delivery_ids: Sequence[UUID]
    ) -> Sequence[Delivery | Refused]:
        """Make some deliveries again; one that can't be made again does not stop the others.

        Returns:
            In the order of the ids, which are all different: the new delivery, or why there is
            none, as `replay` would raise it.
        """
        async with self._database.tenant(tenant_id) as conn:
            return await again.make(conn, tenant_id, delivery_ids, self._clock())

    async def replay_event(self, tenant_id: UUID, event_id: UUID) -> Sequence[Delivery]:
        """Deliver an event to every destination that wants it now, whatever was delivered before.

        Raises:
            NotFound: this tenant has no such event.
            Conflict: no destination wants it, or it is kept back: in quarantine, held or dropped.
        """
        event_id = await self._events.resolve(tenant_id, event_id)
        now = self._clock()
        async with self._database.tenant(tenant_id) as conn:
            origin = await store.origin(conn, tenant_id, event_id)
            if origin is None:
                raise NotFound
            if origin.status not in DELIVERED:
                raise Conflict(f"This event is {origin.status}, and was never to be delivered.")
            made = [
                again.fresh(tenant_id, event_id, destination.id, now)
                for destination in await destinations.enabled(conn, tenant_id)
                if rules.matches(destination, origin.source_id, origin.event_type)
            ]
            if not made:
                raise Conflict("No enabled destination wants events of that source and type.")
            await store.add_deliveries(conn, made)
        return made
