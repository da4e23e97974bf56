"""Which machines count against the same limits, and whether they still hear of each other. Pure.

Every node beats by telling what it counted, and hears its own words come back. While they don't,
nobody can know what the others admit: each node keeps to its share of every limit then.
"""

from typing import Final

SILENT_S: Final = 2.0
"""A node that says nothing for so long is gone; nor is there a broker that brings nothing back."""

MOST: Final = 1_000
"""Nodes that are known at once; whoever can write to the subject might name any number of them."""


class Nodes:
    """What one node knows of all; times are seconds of a clock that never goes back."""

    def __init__(self, now: float) -> None:
        """Know nobody yet."""
        self._heard: dict[str, float] = {}
        self._fresh_at = now
        self._share_before = 1
        self._came_back = False

    def take_over(self, share: int, now: float) -> None:
        """Go on where another process of this node left off.

        Args:
            share: how many nodes shared the limits by its last word.
            now: the time.
        """
        self._fresh_at = now
        self._share_before = share
        self._came_back = False

    def hear(self, node: str, now: float) -> None:
        """Take note that another node told something."""
        if node in self._heard or len(self._heard) < MOST:
            self._heard[node] = now

    def come_back(self, sent_at: float, now: float) -> None:
        """Take note that what this node told came back to it."""
        was_away = self.is_away(now)
        self._fresh_at = max(self._fresh_at, min(sent_at, now))
        self._came_back = True
        if was_away and not self.is_away(now):
            # The others find their way back, too, and get the time for it.
            self._heard = dict.fromkeys(self._heard, now)

    def age_s(self, now: float) -> float:
        """Return how long ago the last of this node's words that came back was said."""
        return now - self._fresh_at

    def is_away(self, now: float) -> bool:
        """Tell whether this node is cut off."""
        return self.age_s(now) > SILENT_S

    def count(self) -> int:
        """Return how many nodes there are; while this one is cut off, how many there were.

        Only while a node hears itself does another's silence mean anything.
        """
        oldest = self._fresh_at - SILENT_S
        self._heard = {one: at for one, at in self._heard.items() if at >= oldest}
        return 1 + len(self._heard)

    def share(self, now: float) -> int:
        """Return by how many every limit is divided: by one, while all hear of each other."""
        count = self.count()
        if not self._came_back:
            return max(count, self._share_before) if self.is_away(now) else self._share_before
        return count if self.is_away(now) else 1
