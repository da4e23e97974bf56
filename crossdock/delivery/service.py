"""The use cases of deliveries: listed and shown, dead letters among them, and made again."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from crossdock.db import Databases
from crossdock.delivery import again, store
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.matching import store as occurrences
from crossdock.delivery.matching import subject_of
from crossdock.delivery.model import DeadSummary, Delivery, DeliveryDetail, DeliveryFilter
from crossdock.delivery.order import store as order
from crossdock.errors import Conflict, NotFound, Refused
from crossdock.inbound.events.service import Events
from crossdock.inbound.model import DELIVERED
from crossdock.paging import Slice, Window
from crossdock.routing import judge
from crossdock.secrets.payloads import KeyReader

MOST_COUNTED: Final = 20_000
"""Dead letters that a summary looks at."""
MOST_DESTINATIONS: Final = 100
"""Destinations that a summary names: those with most."""


class Deliveries:
    """Lists and shows deliveries, dead letters among them, and makes single ones again."""

    def __init__(
        self,
        database: Databases,
        keys: KeyReader | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Say where.

        Args:
            database: opened for the role `app`.
            keys: opens sealed payloads, which filters look into.
            clock: for tests.
        """
        self._database = database
        self._events = Events(database, keys)
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

    async def dead_summary(self, tenant_id: UUID, wanted: DeliveryFilter) -> DeadSummary:
        """Count dead letters by reason and destination: of the newest 20,000 in the range of time.

        Args:
            tenant_id: Whose.
            wanted: Which; of deliveries in state `dead`.
        """
        async with self._database.tenant(tenant_id) as conn:
            looked_at, rows = await store.count_dead(conn, tenant_id, wanted, MOST_COUNTED)
        reasons: Counter[str] = Counter()
        destinations_of: Counter[UUID] = Counter()
        for reason, destination_id, count in rows:
            reasons[reason] += count
            destinations_of[destination_id] += count
        return DeadSummary(
            total=reasons.total(),
            is_capped=looked_at > MOST_COUNTED,
            reasons=reasons.most_common(),
            destinations=destinations_of.most_common(MOST_DESTINATIONS),
        )

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
            NotFound: this tenant has no such event, or the key of its payload was destroyed.
            Conflict: no destination wants it, or it is kept back: in quarantine, held or dropped.
        """
        event = await self._events.get(tenant_id, event_id)
        if event.status not in DELIVERED:
            raise Conflict(f"This event is {event.status}, and was never to be delivered.")
        async with self._database.tenant(tenant_id) as conn:
            enabled = await destinations.enabled(conn, tenant_id)
        judged = await asyncio.to_thread(judge, subject_of(event), enabled)
        wanted = [
            (destination.id, one.line)
            for destination, one in zip(enabled, judged, strict=True)
            if one.wanted
        ]
        if not wanted:
            raise Conflict("No enabled destination wants that event now.")
        now = self._clock()
        async with self._database.tenant(tenant_id) as conn:
            if any(line is not None for _, line in wanted):
                await order.hold(conn, tenant_id)
            (there,) = await occurrences.some(conn, tenant_id, [event.id]) or (None,)
            if there is None:
                raise NotFound
            made = [
                again.fresh(tenant_id, event.id, key, now, line=line, order_seq=there.stream_seq)
                for key, line in wanted
            ]
            first = await again.add(conn, tenant_id, made)
        return [first.get(one.id, one) for one in made]
