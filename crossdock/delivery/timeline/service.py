"""The use case: what became of an event."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from crossdock.db import Databases
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.destinations.model import Destination
from crossdock.delivery.matching import store as occurrences
from crossdock.delivery.matching import subject_of
from crossdock.delivery.timeline import rules, store
from crossdock.delivery.timeline.model import Timeline, Unmatched, WhyNot
from crossdock.errors import NotFound
from crossdock.inbound.events.service import Events
from crossdock.inbound.model import DELIVERED, Event
from crossdock.paging import Window
from crossdock.routing import Judged, judge

MOST_DELIVERIES: Final = 100
MOST_ATTEMPTS: Final = 500
MOST_DESTINATIONS: Final = 50
"""Of which it is said why they did not get an event."""
EXCERPT: Final = 1024
"""Bytes of a body; all that is kept of it is at the delivery."""


class Timelines:
    """Tells what became of events."""

    def __init__(self, database: Databases, events: Events) -> None:
        """Say where.

        Args:
            database: opened for the role `app`.
            events: reads payloads, sealed ones too, as filters see them.
        """
        self._database = database
        self._events = events

    async def get(self, tenant_id: UUID, event_id: UUID) -> Timeline:
        """Return an event's story, by its own id or by that of a duplicate of it.

        Raises:
            NotFound: this tenant has no such event, or the key of its payload was destroyed.
            SealBroken: its payload is not what was stored.
        """
        event = await self._events.get(tenant_id, event_id)
        async with self._database.tenant(tenant_id) as conn:
            found = await occurrences.some(conn, tenant_id, [event.id])
            if not found:
                raise NotFound
            scheme = await store.scheme(conn, tenant_id, event.source_id)
            matched = await store.matched(conn, tenant_id, event.id)
            courses = await store.courses(conn, tenant_id, event.id, MOST_DELIVERIES + 1)
            shown = courses[:MOST_DELIVERIES]
            of = [course.delivery.id for course in shown]
            attempts = (
                await store.attempts_of(conn, tenant_id, of, MOST_ATTEMPTS + 1, EXCERPT)
                if of
                else ()
            )
            targets = {course.delivery.destination_id for course in shown}
            disabled = await store.disabled(conn, tenant_id, targets)
            others: Sequence[Destination] = ()
            if not shown and event.status in DELIVERED:
                window = Window(limit=MOST_DESTINATIONS)
                others = await destinations.page(conn, tenant_id, window)
        return Timeline(
            event_id=event.id,
            status=event.status,
            matched=matched,
            entries=rules.entries(found[0], scheme, shown, attempts[:MOST_ATTEMPTS], disabled),
            unmatched=await _unmatched(event, others[:MOST_DESTINATIONS]),
            is_capped=len(courses) > MOST_DELIVERIES
            or len(attempts) > MOST_ATTEMPTS
            or len(others) > MOST_DESTINATIONS,
        )


async def _unmatched(event: Event, others: Sequence[Destination]) -> list[Unmatched]:
    """Say of each destination why it has no delivery of an event, as both are now."""
    if not others:
        return []
    judged = await asyncio.to_thread(judge, subject_of(event), others)
    return [_why(one, verdict) for one, verdict in zip(others, judged, strict=True)]


def _why(destination: Destination, verdict: Judged) -> Unmatched:
    why: WhyNot
    if verdict.why_not is not None:
        why, detail = verdict.why_not, verdict.detail
    elif destination.state == "disabled":
        why, detail = "disabled", destination.disabled_reason or ""
    else:
        why, detail = "wanted_now", "its subscription, or state, has changed since"
    return Unmatched(destination_id=destination.id, name=destination.name, why=why, detail=detail)
