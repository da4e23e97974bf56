"""`/v1/events/stream`: events as they come."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, QueryParameter

from crossdock import ids
from crossdock.access.model import Principal
from crossdock.errors import Invalid, NotAnId, TenantSuspended, Violation
from crossdock.inbound.model import EventSummary
from crossdock.inbound.stream.hub import Hub
from crossdock.inbound.stream.model import Wanted
from crossdock.inbound.stream.session import Session
from gateway.auth import AGAIN
from gateway.controllers.events.doors import EventItem, SourceId, fields_of, shown
from gateway.request import ApiRequest
from gateway.streaming import EVENT_STREAM, EventStream, Serve
from gateway.wire import EVENT_ID, as_text, query_id

LAST_EVENT_ID: Final = "Last-Event-ID"

TypePattern = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]*$",
        description="Only events of this type; `*` stands for any text, as in `invoice.*`.",
    ),
]
Include = Annotated[
    Literal["payload"] | None,
    QueryParameter(description="`payload`: send payloads too."),
]
After = Annotated[
    str | None,
    QueryParameter(
        pattern=EVENT_ID,
        description="Begin with what came after this event, a little before it: repetitions are "
        "possible, gaps are not. Without it, what comes from now on.",
    ),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name=LAST_EVENT_ID,
        description="As `after`, and instead of it: a browser's `EventSource` sends it when it"
        " connects again.",
        schema_extra={"pattern": f"{EVENT_ID}|^$"},
    ),
]


class LiveEvent(EventItem, frozen=True, kw_only=True):
    """An event on the live stream, with its payload."""

    payload: str | None
    """The payload, where it is UTF-8 text."""
    payload_base64: str | None
    """The payload, where it is not."""


class StreamController(Controller):
    """Live events."""

    path = "/v1/events/stream"
    tags = ("Events",)

    @get("/", permissions={"events:read"}, media_type=EVENT_STREAM)
    async def stream_events(
        self,
        *,
        request: ApiRequest,
        live: NamedDependency[Hub],
        source_id: SourceId = None,
        event_type: TypePattern = None,
        include: Include = None,
        after: After = None,
        last_event_id: LastEventId = None,
    ) -> Response[bytes]:
        """Send events as they come, as server-sent events, until the caller goes or is told to.

        Each is `event: event` with the event as JSON; `id` is where to go on from. A comment comes
        at least every 15 seconds. `event: gap` says that the feed was interrupted and is being
        filled, `lagged` ends a stream whose reader is too slow, `end` one that has to end for
        another reason; in all cases connecting again goes on from the last `id`.
        """
        begins = query_id("evt", "after", after)
        if last_event_id:
            begins = _header_id(last_event_id)
        wanted = Wanted(query_id("src", "source_id", source_id), event_type, bool(include))
        scope: Any = request.scope
        check = partial(_check, scope[AGAIN])

        @asynccontextmanager
        async def opening() -> AsyncIterator[Serve]:
            await check()
            session = Session(live, request.tenant_id, wanted, check, after=begins)
            async with live.place(request.tenant_id), live.listen(request.tenant_id, wanted) as one:
                yield partial(session.serve, one)

        return EventStream(opening)


def show(event: EventSummary, body: bytes | None) -> bytes:
    """Return an event as listeners get it, as JSON."""
    if body is None:
        return msgspec.json.encode(shown(event))
    text, encoded = as_text(body)
    found = LiveEvent(**fields_of(event), payload=text, payload_base64=encoded)
    return msgspec.json.encode(found)


async def _check(again: Callable[[], Awaitable[Principal]]) -> None:
    """Check that a reader may still hear.

    Raises:
        Refused: its credentials count no more, or permit less, or its tenant is not active.
        Unavailable: nobody can say at the moment.
    """
    principal = await again()
    if principal.tenant_state != "active":
        raise TenantSuspended


def _header_id(text: str) -> Any:
    try:
        return ids.decode("evt", text)
    except NotAnId as error:
        words = "This is not the id of an event."
        raise Invalid(None, Violation(f"{LAST_EVENT_ID}:", words)) from error
