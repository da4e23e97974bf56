"""Unknown ingest tokens: one limited read of the bucket each, so that junk costs nearly nothing."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

READS_AT_ONCE: Final = 4
READS_A_SECOND: Final = 100.0
REMEMBERED: Final = 4096
"""Tokens known to be unknown, at most: 32 bytes each and their place, a few hundred kilobytes."""
REMEMBERED_S: Final = 2.0
"""For so long; a source that is made meanwhile arrives by the watch and is found before this."""


class Lookups:
    """Limits on reads for unknown tokens, for one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._allowed = READS_A_SECOND
        self._counted_at = clock()

    def admit(self, digest: bytes) -> asyncio.Semaphore | None:
        """Return what to hold while reading, or `None` when this token is not worth a read now."""
        now = self._clock()
        if self._unknown.get(digest, 0.0) > now or self._reads.locked():
            return None
        self._allowed += (now - self._counted_at) * READS_A_SECOND
        self._allowed = min(self._allowed, READS_A_SECOND)
        self._counted_at = now
        if self._allowed < 1:
            return None
        self._allowed -= 1
        return self._reads

    def knows_not(self, digest: bytes) -> bool:
        """Say whether a read found nothing for this token a moment ago."""
        return self._unknown.get(digest, 0.0) > self._clock()

    def remember(self, digest: bytes) -> None:
        """Note that a read found nothing for this token."""
        self._unknown[digest] = self._clock() + REMEMBERED_S
        self._unknown.move_to_end(digest)
        while len(self._unknown) > REMEMBERED:
            self._unknown.popitem(last=False)
