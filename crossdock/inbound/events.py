"""The use cases of reading events."""

from uuid import UUID

from crossdock.db import Databases
from crossdock.errors import NotFound
from crossdock.inbound import store
from crossdock.inbound.model import Event, EventFilter, EventSummary
from crossdock.paging import Slice, Window


class Events:
    """Lists and shows a tenant's events."""

    def __init__(self, database: Databases) -> None:
        self._database = database

    async def page(
        self, tenant_id: UUID, window: Window, wanted: EventFilter
    ) -> Slice[EventSummary]:
        """Return a page of events, newest first."""
        async with self._database.tenant(tenant_id) as conn:
            return Slice.cut(await store.page_events(conn, tenant_id, window, wanted), window)

    async def get(self, tenant_id: UUID, event_id: UUID) -> Event:
        """Return one event, by its own id or that of a duplicate of it.

        Every id that was ever answered with 202 resolves, for as long as the event is kept.

        Raises:
            NotFound: this tenant has no such event.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get_event(conn, tenant_id, event_id)
            if found is None:
                original = await store.follow_alias(conn, tenant_id, event_id)
                if original is not None:
                    found = await store.get_event(conn, tenant_id, original)
        if found is None:
            raise NotFound
        return found

    async def resolve(self, tenant_id: UUID, event_id: UUID) -> UUID:
        """Return an event's own id for one that it was ever answered under.

        Raises:
            NotFound: this tenant has no such event.
        """
        async with self._database.tenant(tenant_id) as conn:
            if await store.has_event(conn, tenant_id, event_id):
                return event_id
            original = await store.follow_alias(conn, tenant_id, event_id)
        if original is None:
            raise NotFound
        return original
