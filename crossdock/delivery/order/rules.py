"""Rules of order. Pure.

A line is what has one key at one destination. Its deliveries are `pending`; one of them is active
(due some time, or leased), the others are blocked: due at infinity, where no claim looks. Whoever
ends the active one makes the next due. The next is the blocked one that came in first, if it has
joined (its place on the stream is at or below the floor) and no dead letter holds the line.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from crossdock.delivery.order.model import Joined, Line

LANES: Final = 16
"""Locks that all lines of a shard share, by tenant. Few, so that all of them can be held at once;
some, so that a tenant who holds one for long stops few others."""

FIRST_WAIT_S: Final = 0.005
LONGEST_WAIT_S: Final = 0.1
"""Between two looks at the broker while something waits to join."""

ANEW_AFTER_S: Final = 30.0
"""For how long a stream must look as if it had been made anew: a server of a cluster that was cut
off may tell of the past for some seconds."""


def lane(tenant_id: UUID) -> int:
    """Return the lock that a tenant's lines have in common with some others'."""
    return tenant_id.int % LANES


def lanes(tenants: Iterable[UUID]) -> list[int]:
    """Return the locks of some tenants, in the one order in which everybody takes them."""
    return sorted({lane(tenant_id) for tenant_id in tenants})


def longer(wait_s: float) -> float:
    """Return how long to wait after having waited in vain for so long."""
    return min(LONGEST_WAIT_S, max(FIRST_WAIT_S, wait_s * 1.6))


def cut(firsts: Sequence[tuple[Line, int]], most: int, reach: int, *, has_more: bool) -> Joined:
    """Return what joins at once: as much, from the beginning, as lies in so many lines.

    Args:
        firsts: lines, and the place on the stream of the first that joins each.
        most: lines at once, unless one event has more.
        reach: up to which place on the stream these are all there are.
        has_more: there is more behind it.
    """
    if len(firsts) <= most:
        return Joined(frozenset(line for line, _ in firsts), reach, has_more)
    limit = sorted(seq for _, seq in firsts)[most]
    before = frozenset(line for line, seq in firsts if seq < limit)
    if before:
        return Joined(before, limit - 1, has_more=True)
    of_event = frozenset(line for line, seq in firsts if seq == limit)
    return Joined(of_event, limit, has_more=True)


def is_behind(floor: int, last: int) -> bool:
    """Tell whether the stream is another than the one on which the floor was found.

    Ours begin above all earlier ones; one that was restored, or made by hand, may not.

    Args:
        floor: as it is written down.
        last: the newest sequence on the stream, read after the floor.
    """
    return last < floor
