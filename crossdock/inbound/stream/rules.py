"""Rules of the live stream: what the feed says, what listeners are sent, and when. Pure."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from crossdock import ids
from crossdock.bus.connection import Said
from crossdock.delivery.rules import matches_type
from crossdock.errors import NotAnId
from crossdock.inbound.cloud_events import UNTYPED
from crossdock.inbound.model import DELIVERED, EventStatus, EventSummary
from crossdock.inbound.stream.model import Heard, Item, Show, Wanted

OVERLAP_S: Final = 30.0
"""By how much what is read again reaches back: the messages of a worker that died come again after
20 s, and until then younger events overtake them."""

LEAST_TICK_S: Final = 0.05
MOST_TICK_S: Final = 2.0
TICK_S: Final = 0.002
"""For each listener of the process: what comes within a tick is sent to each at once, so that their
number costs latency and not the process."""

HEARTBEAT: Final = b":\n\n"
HELLO: Final = b"retry: 1000\n\n"
GAP: Final = b"event: gap\ndata: {}\n\n"

_NO_TYPE: Final = ".-"
_STATUSES: Final[dict[str, EventStatus]] = {status: status for status in DELIVERED}


def feed_of(tenant: str) -> str:
    """Return the subject of all events of a tenant, named by its id as text."""
    return f"events.{tenant}.>"


def tick_s(listeners: int) -> float:
    """Return how long a process with so many listeners gathers before it sends."""
    return min(MOST_TICK_S, max(LEAST_TICK_S, listeners * TICK_S))


def read(tenant: str, said: Said) -> Heard | None:
    """Return the event that a message announces, or `None`: it is none, or was announced before.

    Args:
        tenant: whose feed it is, its id as text; what names another's is nothing of theirs.
        said: the message.
    """
    headers = said.headers
    parts = said.subject.split(".", 3)
    if len(parts) != 4 or parts[:2] != ["events", tenant] or _REPUBLISHED in headers:  # noqa: PLR2004
        return None
    try:
        event_id = ids.decode("evt", headers.get("ce-id", ""))
        source_id = ids.decode("src", parts[2])
    except NotAnId:
        return None
    if "ce-dataref" in headers or "ce-status" in headers or "ce-schemaversion" in headers:
        return Heard(event_id, None, status=_STATUSES.get(headers.get("ce-status", ""), "accepted"))
    event_type = headers.get("ce-type", "")
    summary = EventSummary(
        id=event_id,
        source_id=source_id,
        event_type="" if event_type == UNTYPED and said.subject.endswith(_NO_TYPE) else event_type,
        provider_id=headers.get("ce-providerid"),
        content_type=headers.get("ce-datacontenttype", ""),
        size=len(said.data),
        status="accepted",
        violations=(),
        schema_version=None,
        encrypted=False,
    )
    return Heard(event_id, summary, said.data)


_REPUBLISHED: Final = "crossdock-republished"


def takes(wanted: Wanted, event: EventSummary) -> bool:
    """Tell whether a listener wants an event."""
    if wanted.source_id is not None and wanted.source_id != event.source_id:
        return False
    return wanted.event_type is None or matches_type((wanted.event_type,), event.event_type)


def behind(position: UUID) -> UUID:
    """Return the id from which all must be read that may have been missed since `position`."""
    millis = (position.int >> ids.EPOCH_MS_SHIFT) - int(OVERLAP_S * 1000)
    return UUID(int=max(0, millis) << ids.EPOCH_MS_SHIFT)


def chunk(wanted: Wanted, items: Iterable[Item], show: Show, position: UUID) -> bytes:
    """Return what one listener is sent of some events; nothing, where it wants none of them.

    Args:
        wanted: what it wants.
        items: the events, each encoded once however many want it.
        show: see there.
        position: the newest event so far.
    """
    least = behind(position)
    frames = []
    for item in items:
        if not takes(wanted, item.summary):
            continue
        if wanted.payloads:
            item.full = item.full or frame(item.summary, show(item.summary, item.body), least)
            frames.append(item.full)
        else:
            item.plain = item.plain or frame(item.summary, show(item.summary, None), least)
            frames.append(item.plain)
    return b"".join(frames)


def frame(event: EventSummary, shown: bytes, least: UUID) -> bytes:
    """Return an event as a server-sent one.

    One that is far older than the newest, because it was released just now, names no place from
    which to go on: whoever did would be sent all again that came since it was received.
    """
    place = b"" if event.id < least else b"id: %b\n" % ids.encode("evt", event.id).encode()
    return b"%bevent: event\ndata: %b\n\n" % (place, shown)


def end(reason: str) -> bytes:
    """Return the last word of a stream."""
    if reason == "lagged":
        return b"event: lagged\ndata: {}\n\n"
    return b'event: end\ndata: {"reason":"%b"}\n\n' % reason.encode()
