"""What crosses the boundary of the live stream."""

from collections.abc import Callable
from typing import Literal
from uuid import UUID

import msgspec

from crossdock.inbound.model import EventStatus, EventSummary

Reason = Literal["lagged", "over", "drained", "refused"]
"""Why a stream ends: its reader is too slow; it has lasted long enough; the process ends; its
credentials count no more, or nobody can say whether they do."""

Show = Callable[[EventSummary, bytes | None], bytes]
"""Returns what listeners are sent of an event, as JSON: with its payload where that is given."""


class Wanted(msgspec.Struct, frozen=True):
    """What a listener wants to hear."""

    source_id: UUID | None = None
    event_type: str | None = None
    """A pattern, as destinations have them: `*` stands for any text."""
    payloads: bool = False


class Heard(msgspec.Struct, frozen=True, gc=False):
    """An event as the feed announces it."""

    event_id: UUID
    summary: EventSummary | None
    """`None` where the feed does not say enough, and it must be read."""
    body: bytes = b""
    status: EventStatus = "accepted"
    """What the feed says it is: it may be said a moment before that can be read."""


class Item(msgspec.Struct, gc=False):
    """An event to be sent to many."""

    summary: EventSummary
    body: bytes | None
    """`None` where nobody wants it."""
    plain: bytes = b""
    """Its frame without the payload, once it was needed; so is the other."""
    full: bytes = b""
