"""What is judged, and what comes of it."""

from collections.abc import Collection, Sequence
from typing import Literal, Protocol
from uuid import UUID

import msgspec

Why = Literal["source", "type", "about", "filter", "filter_error"]
"""Why a destination does not want an event: it listens to other sources, or wants other types; it
is the one that an alert is about; its filter was not true, or could not be judged."""


class Subscription(Protocol):
    """The part of a destination that says which events it wants, and in which order."""

    @property
    def id(self) -> UUID:
        """Its own id."""

    @property
    def source_ids(self) -> Collection[UUID]:
        """Sources it listens to; empty means all."""

    @property
    def event_types(self) -> Sequence[str]:
        """Patterns of types it wants; empty means all but `crossdock.`'s."""

    @property
    def filter(self) -> str | None:
        """An expression in CEL that must be true of an event."""

    @property
    def order_by(self) -> str | None:
        """What orders its deliveries: `source`, or a JSON pointer into the payload."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """An event, as filters see it."""

    event_id: UUID
    """It also tells when it was received."""
    source_id: UUID
    event_type: str
    content_type: str
    provider_id: str | None
    headers: Sequence[tuple[str, str]]
    body: bytes | None
    """Plain; `None` where it can't be opened any more: to look at the payload is then an error."""


class Judged(msgspec.Struct, frozen=True):
    """What came of one event and one destination."""

    why_not: Why | None = None
    """`None` when the destination wants it."""
    detail: str = ""
    """Of `filter_error`: what went wrong."""
    line: int | None = None
    """Its line, where it is wanted in order: 63 bits, the same for equal keys."""

    @property
    def wanted(self) -> bool:
        """Whether the destination wants it."""
        return self.why_not is None
