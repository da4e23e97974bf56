"""An event's story, as entries in the order of time."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from crossdock.delivery.model import Attempt, Delivery
from crossdock.inbound.model import EventStatus
from crossdock.routing.model import Why

EntryType = Literal[
    "received",
    "verified",
    "stored",
    "kept_back",
    "released",
    "unmatched",
    "matched",
    "replayed",
    "attempt",
    "delivered",
    "dead",
    "cancelled",
    "under_way",
    "next_attempt",
    "waiting",
]
"""What happened, or is to happen: the last three. `replayed`: a delivery was made again."""

WhyNot = Why | Literal["disabled", "wanted_now"]
"""Why a destination has no delivery of an event; `wanted_now`: it would have one today."""


class Course(msgspec.Struct, frozen=True):
    """A delivery, and whether somebody is at it."""

    delivery: Delivery
    is_leased: bool


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    type: EntryType
    at: datetime | None
    """`None` for what has no moment yet."""
    detail: str | None = None
    """In words, or a class of reasons."""
    destination_id: UUID | None = None
    delivery_id: UUID | None = None
    replay_id: UUID | None = None
    attempt: Attempt | None = None


class Unmatched(msgspec.Struct, frozen=True, kw_only=True):
    """A destination that did not get an event."""

    destination_id: UUID
    name: str
    why: WhyNot
    detail: str = ""


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, as far as it is shown."""

    event_id: UUID
    status: EventStatus
    matched: int | None
    """How many destinations wanted it when it was stored, where that was counted."""
    entries: list[Entry]
    unmatched: list[Unmatched]
    """Of an event without deliveries: why."""
    is_capped: bool
    """There are more deliveries, attempts or destinations than are shown."""
