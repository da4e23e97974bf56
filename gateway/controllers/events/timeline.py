"""`/v1/events/{id}/timeline`: what became of an event, in the order of time."""

import codecs
from datetime import datetime

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency

from crossdock import ids
from crossdock.delivery.model import Attempt
from crossdock.delivery.timeline import Timelines
from crossdock.delivery.timeline.model import Entry, EntryType, Unmatched, WhyNot
from crossdock.delivery.timeline.rules import redacted
from crossdock.inbound.model import EventStatus
from gateway.request import ApiRequest
from gateway.wire import Id, as_text, tagged


class TimelineAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a destination; bodies are cut to 1 KiB, and whole at the delivery."""

    id: str
    number: int
    duration_ms: int
    status: int | None
    """`null` where there was no answer; `error` says why."""
    error: str | None
    request_headers: list[tuple[str, str]]
    """As they were sent; the values of those that may be secret are `***`."""
    request_body: str | None
    """Where a transformation made it another than the event's payload."""
    request_body_base64: str | None
    """The same, where it is not UTF-8 text."""
    response_headers: list[tuple[str, str]]
    response_body: str | None
    response_body_base64: str | None


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, or is to happen."""

    type: EntryType
    """`received`, `verified` (`detail`: by which scheme), `stored`, `kept_back` (`detail`: the
    event's status), `released`; then `unmatched`, or for each delivery `matched` or `replayed`, and
    its `attempt`s; at its end `delivered`, `dead` or `cancelled` (`detail`: the reason), and before
    that `under_way`, `next_attempt`, or `waiting` (`detail`: for what)."""
    at: datetime | None
    """`null` for what has no moment yet."""
    detail: str | None
    destination_id: str | None
    delivery_id: str | None
    replay_id: str | None
    """The bulk replay that made the delivery."""
    attempt: TimelineAttempt | None


class UnmatchedOut(msgspec.Struct, frozen=True, kw_only=True):
    """Why a destination has no delivery of the event, as both are now."""

    destination_id: str
    name: str
    why: WhyNot
    """`source`, `type`, `about` (an alert about that very destination), `filter` (it is not true),
    `filter_error`, `disabled`, or `wanted_now`: it would get the event today."""
    detail: str
    """Of a filter's error: what went wrong."""


class TimelineOut(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event."""

    event_id: str
    status: EventStatus
    matched: int | None
    """How many destinations wanted it when it was stored; `null` where that was not counted."""
    entries: list[TimelineEntry]
    """In the order of time; what has no moment yet comes last."""
    unmatched: list[UnmatchedOut]
    """Of an event without deliveries: why, for up to 50 destinations."""
    is_capped: bool
    """There is more than is shown: the newest 100 deliveries and 500 attempts."""


class EventTimelineController(Controller):
    """What became of one event."""

    path = "/v1/events/{event_id:str}"
    tags = ("Events",)

    @get("/timeline", permissions={"events:read", "deliveries:read"})
    async def get_event_timeline(
        self, request: ApiRequest, timelines: NamedDependency[Timelines], event_id: Id
    ) -> Response[TimelineOut]:
        """Tell what became of an event: each step, each attempt, and what comes next."""
        found = await timelines.get(request.tenant_id, ids.decode("evt", event_id))
        shown = TimelineOut(
            event_id=ids.encode("evt", found.event_id),
            status=found.status,
            matched=found.matched,
            entries=[_entry(one) for one in found.entries],
            unmatched=[_unmatched(one) for one in found.unmatched],
            is_capped=found.is_capped,
        )
        return tagged(shown)


def _entry(entry: Entry) -> TimelineEntry:
    destination_id, delivery_id = entry.destination_id, entry.delivery_id
    return TimelineEntry(
        type=entry.type,
        at=entry.at,
        detail=entry.detail,
        destination_id=None if destination_id is None else ids.encode("dst", destination_id),
        delivery_id=None if delivery_id is None else ids.encode("dlv", delivery_id),
        replay_id=None if entry.replay_id is None else ids.encode("rpl", entry.replay_id),
        attempt=None if entry.attempt is None else _attempt(entry.attempt),
    )


def _attempt(attempt: Attempt) -> TimelineAttempt:
    text, encoded = _excerpt(attempt.response_body)
    sent, sent_encoded = _excerpt(attempt.request_body)
    return TimelineAttempt(
        id=ids.encode("att", attempt.id),
        number=attempt.number,
        duration_ms=attempt.duration_ms,
        status=attempt.status,
        error=attempt.error,
        request_headers=redacted(attempt.request_headers),
        request_body=sent,
        request_body_base64=sent_encoded,
        response_headers=attempt.response_headers,
        response_body=text,
        response_body_base64=encoded,
    )


def _excerpt(body: bytes | None) -> tuple[str | None, str | None]:
    """Return the beginning of a body as text, or as base64; a letter cut in two is left out."""
    if body is None:
        return None, None
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(body), None
    except UnicodeDecodeError:
        return as_text(body)


def _unmatched(one: Unmatched) -> UnmatchedOut:
    return UnmatchedOut(
        destination_id=ids.encode("dst", one.destination_id),
        name=one.name,
        why=one.why,
        detail=one.detail,
    )
