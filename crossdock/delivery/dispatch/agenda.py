"""When to look again at which destination's queue.

The queue itself is in PostgreSQL; this is what one process remembers of it, so that a claim asks
for the destinations that have something due, and no poll scans the rest. It may forget: the
dispatcher's round through all destinations finds again what was forgotten.
"""

import heapq
from collections.abc import Collection
from typing import Final
from uuid import UUID

from crossdock.delivery.dispatch.lines import Key

CAPACITY: Final = 20_000
"""Destinations remembered; about 6 MB."""


class Agenda:
    """The earliest moment known for each destination, soonest first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._moments: dict[Key, float] = {}
        self._postponed: set[Key] = set()
        self._heap: list[tuple[float, Key]] = []

    def __len__(self) -> int:
        return len(self._moments)

    def note(self, key: Key, moment: float) -> None:
        """Remember that a destination has something due then, unless an earlier moment is known."""
        known = self._moments.get(key)
        if known is None:
            if len(self._moments) < self._capacity:
                self._set(key, moment)
        elif moment < known and key not in self._postponed:
            self._set(key, moment)

    def postpone(self, key: Key, moment: float) -> None:
        """Don't look at a destination before that moment, whatever was or will be noted."""
        self._postponed.add(key)
        self._set(key, moment)

    def hurry(self, tenants: Collection[UUID] | None, moment: float) -> None:
        """Look then at what was postponed, though it was to wait: of these tenants, or of all."""
        for key in [key for key in self._postponed if tenants is None or key[0] in tenants]:
            self._postponed.discard(key)
            if moment < self._moments[key]:
                self._set(key, moment)

    def resume(self, key: Key, moment: float) -> None:
        """Look then at one that was postponed, though it was to wait."""
        if key in self._postponed:
            self._postponed.discard(key)
            if moment < self._moments[key]:
                self._set(key, moment)

    def due(self, now: float, limit: int) -> list[Key]:
        """Take out the destinations whose moment has come, at most `limit`, soonest first."""
        found: list[Key] = []
        while self._heap and len(found) < limit and self._heap[0][0] <= now:
            moment, key = heapq.heappop(self._heap)
            if self._moments.get(key) == moment:
                del self._moments[key]
                self._postponed.discard(key)
                found.append(key)
        return found

    def has_due(self, now: float) -> bool:
        """Tell whether any destination's moment has come."""
        soonest = self.next()
        return soonest is not None and soonest <= now

    def next(self) -> float | None:
        """Return the soonest moment."""
        while self._heap and self._moments.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _set(self, key: Key, moment: float) -> None:
        self._moments[key] = moment
        heapq.heappush(self._heap, (moment, key))
        if len(self._heap) > 4 * self._capacity:
            self._heap = [(moment, key) for key, moment in self._moments.items()]
            heapq.heapify(self._heap)
