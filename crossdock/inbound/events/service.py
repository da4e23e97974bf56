"""The use cases of events that are stored: to find them, to read them, to decide about them."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog
from msgspec.structs import replace

from crossdock.db import Databases
from crossdock.errors import ConfigurationError, Conflict, Invalid, NotFound, Violation
from crossdock.inbound.events import store
from crossdock.inbound.model import Event, EventFilter, EventStatus, EventSummary
from crossdock.paging import Slice, Window
from crossdock.secrets.payloads import KeyReader, PayloadShredded, open_payload
from crossdock.secrets.seal import SealBroken

log = structlog.get_logger(__name__)

_SETTLED: Final[dict[EventStatus, frozenset[EventStatus]]] = {
    "releasing": frozenset({"releasing", "released"}),
    "dropped": frozenset({"dropped"}),
}
"""By what is asked of a quarantined event: the states in which that was done already."""


class Events:
    """Lists and shows a tenant's events, and does with quarantined ones what their owner says."""

    def __init__(self, database: Databases, keys: KeyReader | None = None) -> None:
        """Say where.

        Args:
            database: opened for the role `app`.
            keys: finds what opens sealed payloads; without it there is no reading them.
        """
        self._database = database
        self._keys = keys

    async def page(
        self, tenant_id: UUID, window: Window, wanted: EventFilter
    ) -> Slice[EventSummary]:
        """Return a page of events, newest first.

        Raises:
            Invalid: a payload is asked about what no source of the tenant's has indexed.
        """
        async with self._database.tenant(tenant_id) as conn:
            for field in wanted.payload:
                if not await store.indexes(conn, tenant_id, field.pointer):
                    words = f"No source indexes {field.pointer}; see its `indexed_fields`."
                    raise Invalid(None, Violation("?payload", words))
            return Slice.cut(await store.page_events(conn, tenant_id, window, wanted), window)

    async def get(self, tenant_id: UUID, event_id: UUID) -> Event:
        """Return one event, by its own id or that of a duplicate of it; its body is plain.

        Every id that was ever answered with 202 resolves, for as long as the event is kept.

        Raises:
            NotFound: this tenant has no such event, or the key of its payload was destroyed.
            SealBroken: its payload is not what was stored.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get_event(conn, tenant_id, event_id)
            if found is None:
                original = await store.follow_alias(conn, tenant_id, event_id)
                if original is not None:
                    found = await store.get_event(conn, tenant_id, original)
        if found is None:
            raise NotFound
        return await self._opened(tenant_id, found)

    async def bodies(self, tenant_id: UUID, wanted: Sequence[UUID]) -> dict[UUID, bytes]:
        """Return the plain bodies of some events, without those that are gone or don't open."""
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get_some(conn, tenant_id, wanted)
        opened = {}
        for one in found:
            try:
                opened[one.event.id] = (await self._opened(tenant_id, one)).body
            except (PayloadShredded, SealBroken) as error:
                log.warning("payload_unreadable", event_id=one.event.id, reason=str(error))
        return opened

    async def summaries(self, tenant_id: UUID, wanted: Sequence[UUID]) -> list[EventSummary]:
        """Return those of some events that are there, oldest first, without their bodies."""
        async with self._database.tenant(tenant_id) as conn:
            return await store.get_summaries(conn, tenant_id, wanted)

    async def since(
        self, tenant_id: UUID, after: UUID, limit: int, source_id: UUID | None = None
    ) -> list[EventSummary]:
        """Return at most `limit` events above an id, oldest first; none that waits or was dropped.

        Args:
            tenant_id: Whose.
            after: The id; it need not be an event's.
            limit: How many at most.
            source_id: Only those of this source.
        """
        async with self._database.tenant(tenant_id) as conn:
            return await store.since(conn, tenant_id, after, limit, source_id)

    async def resolve(self, tenant_id: UUID, event_id: UUID) -> UUID:
        """Return an event's own id for one that it was ever answered under.

        Raises:
            NotFound: this tenant has no such event.
        """
        async with self._database.tenant(tenant_id) as conn:
            return await store.resolve(conn, tenant_id, event_id)

    async def release(self, tenant_id: UUID, event_id: UUID) -> EventSummary:
        """Have a quarantined event delivered after all; a worker does it. Again is harmless.

        Raises:
            NotFound: this tenant has no such event.
            Conflict: it is not in quarantine.
        """
        return await self._decide(tenant_id, event_id, "releasing")

    async def drop(self, tenant_id: UUID, event_id: UUID) -> EventSummary:
        """Refuse a quarantined event for good: it stays to be looked at. Again is harmless.

        Raises:
            NotFound: this tenant has no such event.
            Conflict: it is not in quarantine.
        """
        return await self._decide(tenant_id, event_id, "dropped")

    async def _decide(self, tenant_id: UUID, event_id: UUID, after: EventStatus) -> EventSummary:
        async with self._database.tenant(tenant_id) as conn:
            own = await store.resolve(conn, tenant_id, event_id)
            moved = await store.move(conn, tenant_id, own, "quarantined", after)
            if moved and after == "releasing":
                await store.ask_release(conn, tenant_id, own)
            found = await store.get_summary(conn, tenant_id, own)
        if found is None:
            raise NotFound
        if not moved and found.status not in _SETTLED[after]:
            raise Conflict(
                f"This event is {found.status}; only one in quarantine is to decide about."
            )
        return found

    async def _opened(self, tenant_id: UUID, found: store.StoredEvent) -> Event:
        event = found.event
        if found.data_key is None:
            return event
        if self._keys is None:
            raise ConfigurationError("Payloads are sealed, and there are no keys here.")
        key = await self._keys.get(tenant_id, found.data_key)
        return replace(event, body=open_payload(key, tenant_id, event.id, event.body))
