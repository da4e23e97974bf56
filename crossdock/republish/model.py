"""What crosses the boundary of republishing."""

from datetime import datetime
from uuid import UUID

import msgspec


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events of a tenant are to be announced again; all conditions hold together."""

    source_id: UUID | None = None
    event_types: tuple[str, ...] = ()
    """Patterns, as a destination has them; empty for all."""
    since: datetime | None = None
    """Received at this moment or later."""
    until: datetime
    """Received before this moment: so there is an end, however many come meanwhile."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An event without its body."""

    id: UUID
    source_id: UUID
    stream_seq: int
    event_type: str
    content_type: str
    traceparent: str
    size: int
    """Bytes of its body, as they are stored."""
    is_sealed: bool


class Amount(msgspec.Struct, frozen=True):
    """How much there is, or was."""

    events: int = 0
    bytes: int = 0
    """Of bodies that messages carry; what is large or sealed stays where it is."""

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.events + other.events, self.bytes + other.bytes)


class Position(msgspec.Struct, frozen=True):
    """How far it came: every event before this one, and this one, is in the stream again."""

    tenant_id: UUID
    event_id: UUID
