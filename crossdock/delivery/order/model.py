"""What crosses the boundary of order."""

from uuid import UUID

import msgspec

Line = tuple[UUID, UUID, int]
"""Tenant, destination, and the hash of a key: what goes one after another."""


class Waiting(msgspec.Struct, frozen=True):
    """How far joining has come, and whether there is more to join."""

    floor: int
    """Deliveries at and below it have joined their lines."""
    next: int | None
    """The place on the stream of the next one that has not; `None` where none waits."""


class Joined(msgspec.Struct, frozen=True):
    """Deliveries that join their lines at once."""

    lines: frozenset[Line]
    floor: int
    """As far as these go."""
    has_more: bool
