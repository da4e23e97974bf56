"""What is tried, on what, and what came of it."""

from typing import Final
from uuid import UUID

import msgspec

from crossdock.routing.model import Why
from crossdock.transforms.model import TransformFailed

MOST_CHOSEN: Final = 20
"""Events that are named one by one."""
MOST_NEWEST: Final = 100
BODY_SHOWN: Final = 64 * 1024
"""Bytes of what would be sent that are shown."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Of a destination, what says which events it gets, and what is made of them."""

    id: UUID
    """Of one that there is, or of none."""
    source_ids: tuple[UUID, ...] = ()
    event_types: tuple[str, ...] = ()
    filter: str | None = None
    transform: str | None = None
    order_by: str | None = None


class Chosen(msgspec.Struct, frozen=True):
    """Stored events, named one by one."""

    event_ids: tuple[UUID, ...]


class Newest(msgspec.Struct, frozen=True):
    """The newest stored events."""

    limit: int
    source_id: UUID | None = None
    event_type: str | None = None


class Sample(msgspec.Struct, frozen=True):
    """An event that somebody made up."""

    event_type: str
    source_id: UUID | None
    content_type: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What to try."""

    on: Chosen | Newest | Sample
    destination_id: UUID | None = None
    """Whose settings stand for what is not given."""
    given: dict[str, object] = {}
    """Fields of `Settings` that are tried instead."""


class Sent(msgspec.Struct, frozen=True):
    """What would be sent instead of an event."""

    content_type: str
    headers: dict[str, str]
    """Those that the script added."""
    body: bytes
    """Its beginning."""
    size: int


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of one event."""

    event_id: UUID | None
    """`None` for a sample."""
    event_type: str
    source_id: UUID | None
    why_not: Why | None
    """`None` where it is wanted."""
    detail: str = ""
    """Of a filter that could not be judged: what went wrong."""
    sent: Sent | None = None
    dropped: bool = False
    """The script returned nothing."""
    failure: TransformFailed | None = None
    duration_ms: float = 0.0


class Tried(msgspec.Struct, frozen=True):
    """What would become of each."""

    trials: tuple[Trial, ...]
    left: int
    """Events for which there was no time."""
