"""What is told about a destination's attempts."""

from datetime import datetime
from uuid import UUID

import msgspec


class Counts(msgspec.Struct, frozen=True):
    """What came of some attempts."""

    delivered: int = 0
    failed: int = 0
    """Attempts that failed, whether or not there were others after them."""
    dead: int = 0
    """Deliveries that were given up."""
    durations: tuple[int, ...] = ()
    """How many took how long; see `rules.bucket`."""


class Hour(msgspec.Struct, frozen=True):
    """What came of the attempts of one hour."""

    hour: datetime
    """When it began."""
    counts: Counts


class Backlog(msgspec.Struct, frozen=True):
    """What waits for a destination."""

    pending: int
    is_capped: bool
    """More is pending than was counted."""
    oldest: UUID | None
    """The delivery that waits for longest, of those that were counted."""
    next_due_at: datetime | None
    """When the next is due, of those that nobody is at."""


class Report(msgspec.Struct, frozen=True):
    """A destination's last hours."""

    destination_id: UUID
    total: Counts
    hours: list[Hour]
    """Each of them, the oldest first; the last is the one we are in."""
    backlog: Backlog
