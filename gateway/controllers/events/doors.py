"""`/v1/events`: what came in, as it came."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter, RequestBody

from crossdock import ids
from crossdock.errors import Invalid, Violation
from crossdock.inbound.events.service import Events
from crossdock.inbound.model import (
    EventFilter,
    EventStatus,
    EventSummary,
    EventViolation,
    FieldFilter,
)
from crossdock.inbound.publish.service import Publishing
from gateway import large
from gateway.controllers.events.publish import (
    EventBatch,
    EventPublish,
    PublishedList,
    PublishedOut,
    publish,
    publish_all,
)
from gateway.declarations import Apart, Atomic
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
MOST_FIELDS: Final = 4
"""Values in the payload that one list may ask for."""

SourceId = Annotated[
    str | None, QueryParameter(pattern=SOURCE_ID, description="Only events of this source.")
]
EventType = Annotated[
    str | None,
    QueryParameter(
        max_length=128, pattern=r"^[\x21-\x7e]*$", description="Only events of exactly this type."
    ),
]
InStatus = Annotated[
    EventStatus | None,
    QueryParameter(name="status", description="Only events of this status."),
]
Matched = Annotated[
    Literal["none"] | None,
    QueryParameter(
        description="`none`: only events that no destination wanted when they were stored."
    ),
]
Payload = Annotated[
    list[Annotated[str, msgspec.Meta(pattern="^/[^=]*=")]] | None,
    QueryParameter(
        name="payload",
        max_items=MOST_FIELDS,
        description=(
            "Only events with this value at this JSON pointer, as in `/data/customer=cus_1`; their"
            " source must index it. May be given several times: all hold together."
        ),
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
    status: EventStatus
    """What became of it: only `accepted`, `warned` and `released` are delivered."""
    violations: list[EventViolation]
    """In what it breaks the schema of its event type; at most five things."""
    schema_version: int | None
    """The version of the schema it was held to, if it was to any."""
    encrypted: bool
    """Whether its payload is stored sealed with the tenant's key."""


class EventOut(EventItem, frozen=True, kw_only=True):
    """An event."""

    matched: int | None
    """How many destinations wanted it when it was stored, or let go; null while it is kept back."""
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
        in_status: InStatus = None,
        matched: Matched = None,
        payload: Payload = None,
        received_after: After = None,
        received_before: Before = None,
    ) -> EventPage:
        """List events, newest first."""
        wanted = EventFilter(
            source_id=query_id("src", "source_id", source_id),
            event_type=event_type,
            status=in_status,
            matched=matched,
            payload=tuple(query_field(text) for text in payload or ()),
            received_after=query_moment("received_after", received_after),
            received_before=query_moment("received_before", received_before),
        )
        filters = msgspec.structs.asdict(wanted)
        window = request.window("events", limit, cursor, filters)
        found = await events.page(request.tenant_id, window, wanted)
        return EventPage(
            [shown(item) for item in found.items],
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
            **fields_of(found),
            matched=found.matched,
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

    @post(
        "/",
        permissions={"events:write"},
        status_code=202,
        idempotency=Apart(),
        request_max_body_size=large.MOST_BYTES,
        before_request=large.admit,
    )
    async def publish_event(
        self,
        request: ApiRequest,
        publishing: NamedDependency[Publishing],
        data: RequestBody[EventPublish],
    ) -> PublishedOut:
        """Publish an event of your own: it is stored before the answer, and delivered as any."""
        return await publish(publishing, request.tenant_id, data)

    @post(
        "/batch",
        permissions={"events:write"},
        status_code=200,
        idempotency=Apart(),
        request_max_body_size=large.MOST_BYTES,
        before_request=large.admit,
    )
    async def publish_events(
        self,
        request: ApiRequest,
        publishing: NamedDependency[Publishing],
        data: RequestBody[EventBatch],
    ) -> PublishedList:
        """Publish up to 100 events; each is answered for by itself, and none stops the others."""
        return await publish_all(publishing, request.tenant_id, data)

    @post(
        "/{event_id:str}/release",
        permissions={"events:write"},
        status_code=200,
        idempotency=Atomic(),
    )
    async def release_event(
        self, request: ApiRequest, events: NamedDependency[Events], event_id: Id
    ) -> EventItem:
        """Deliver a quarantined event after all; it is `releasing` until a worker has done so."""
        return shown(await events.release(request.tenant_id, ids.decode("evt", event_id)))

    @post(
        "/{event_id:str}/drop", permissions={"events:write"}, status_code=200, idempotency=Atomic()
    )
    async def drop_event(
        self, request: ApiRequest, events: NamedDependency[Events], event_id: Id
    ) -> EventItem:
        """Refuse a quarantined event for good: it is kept as any other, and never delivered."""
        return shown(await events.drop(request.tenant_id, ids.decode("evt", event_id)))


def query_field(text: str) -> FieldFilter:
    """Return what a list asks of a payload: all up to the first `=` is the pointer.

    Raises:
        Invalid: it is not a JSON pointer, `=` and a value.
    """
    pointer, equals, value = text.partition("=")
    if not equals or not pointer.startswith("/"):
        detail = "This is a JSON pointer, `=` and a value, such as `/data/customer=cus_1`."
        raise Invalid(None, Violation("?payload", detail))
    return FieldFilter(pointer, value)


def shown(event: EventSummary) -> EventItem:
    """Return an event as lists show it."""
    return EventItem(**fields_of(event))


def fields_of(event: EventSummary) -> dict[str, Any]:
    """Return what lists show of an event, by name."""
    return {
        "id": ids.encode("evt", event.id),
        "source_id": ids.encode("src", event.source_id),
        "event_type": event.event_type,
        "provider_id": event.provider_id,
        "content_type": event.content_type,
        "size": event.size,
        "received_at": ids.time_of(event.id),
        "status": event.status,
        "violations": list(event.violations),
        "schema_version": event.schema_version,
        "encrypted": event.encrypted,
    }
