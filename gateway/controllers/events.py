"""`/v1/events`: what came in, as it came."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from crossdock import ids
from crossdock.inbound.events import Events
from crossdock.inbound.model import Event, EventFilter, EventSummary
from gateway.entity_tags import tag_of
from gateway.request import ApiRequest
from gateway.wire import (
    DEFAULT_LIMIT,
    MOMENT,
    SOURCE_ID,
    Cursor,
    Id,
    Limit,
    as_text,
    query_id,
    query_moment,
    tagged,
)

BYTES: Final = "application/octet-stream"

SourceId = Annotated[
    str | None, QueryParameter(pattern=SOURCE_ID, description="Only events of this source.")
]
EventType = Annotated[
    str | None,
    QueryParameter(
        max_length=128, pattern=r"^[\x21-\x7e]*$", description="Only events of exactly this type."
    ),
]
After = Annotated[
    str | None, QueryParameter(description="Received at this moment or later.", schema_extra=MOMENT)
]
Before = Annotated[
    str | None, QueryParameter(description="Received before this moment.", schema_extra=MOMENT)
]


class EventItem(msgspec.Struct, frozen=True, kw_only=True):
    """An event in a list."""

    id: str
    source_id: str
    event_type: str
    """Empty where the sender names none."""
    provider_id: str | None
    """The sender's own id for it."""
    content_type: str
    size: int
    """Bytes of its payload."""
    received_at: datetime


class EventOut(EventItem, frozen=True, kw_only=True):
    """An event."""

    headers: list[tuple[str, str]]
    """Those worth keeping; never credentials or signatures."""
    traceparent: str
    payload: str | None
    """The payload, where it is UTF-8 text; `/v1/events/{id}/payload` has its exact bytes always."""
    payload_base64: str | None
    """The payload, where it is not."""


class EventPage(msgspec.Struct, frozen=True):
    """Events, newest first."""

    items: list[EventItem]
    next_cursor: str | None


class EventController(Controller):
    """Events."""

    path = "/v1/events"
    tags = ("Events",)

    @get("/", permissions={"events:read"})
    async def list_events(
        self,
        *,
        request: ApiRequest,
        events: NamedDependency[Events],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        source_id: SourceId = None,
        event_type: EventType = None,
        received_after: After = None,
        received_before: Before = None,
    ) -> EventPage:
        """List events, newest first."""
        wanted = EventFilter(
            source_id=query_id("src", "source_id", source_id),
            event_type=event_type,
            received_after=query_moment("received_after", received_after),
            received_before=query_moment("received_before", received_before),
        )
        filters = msgspec.structs.asdict(wanted)
        window = request.window("events", limit, cursor, filters)
        found = await events.page(request.tenant_id, window, wanted)
        return EventPage(
            [EventItem(**_fields(item, item.size)) for item in found.items],
            request.next_cursor("events", found, filters),
        )

    @get("/{event_id:str}", permissions={"events:read"})
    async def get_event(
        self, request: ApiRequest, events: NamedDependency[Events], event_id: Id
    ) -> Response[EventOut]:
        """Show an event, by its own id or by that of a duplicate that was answered with 202."""
        found = await events.get(request.tenant_id, ids.decode("evt", event_id))
        text, encoded = as_text(found.body)
        event = EventOut(
            **_fields(found, len(found.body)),
            headers=found.headers,
            traceparent=found.traceparent,
            payload=text,
            payload_base64=encoded,
        )
        return tagged(event)

    @get("/{event_id:str}/payload", permissions={"events:read"}, media_type=BYTES)
    async def get_event_payload(
        self, request: ApiRequest, events: NamedDependency[Events], event_id: Id
    ) -> Response[bytes]:
        """Return the payload's exact bytes.

        Always as a download and never under the sender's content type: a browser must not take an
        outsider's document for one of ours.
        """
        found = await events.get(request.tenant_id, ids.decode("evt", event_id))
        name = ids.encode("evt", found.id)
        return Response(
            found.body,
            media_type=BYTES,
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "ETag": tag_of(found.body),
            },
        )


def _fields(event: Event | EventSummary, size: int) -> dict[str, Any]:
    return {
        "id": ids.encode("evt", event.id),
        "source_id": ids.encode("src", event.source_id),
        "event_type": event.event_type,
        "provider_id": event.provider_id,
        "content_type": event.content_type,
        "size": size,
        "received_at": ids.time_of(event.id),
    }
