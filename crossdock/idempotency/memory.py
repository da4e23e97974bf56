"""Answers of the last minutes in a process's memory, sealed as they are.

Most requests that are sent again are sent again at once. PostgreSQL is the truth: what is here was
committed, and an answer never changes; what is not here is asked for there.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MAX_BYTES: Final = 16 * 1024**2
LIFE_S: Final = 120.0

_OVERHEAD: Final = 256
"""Bytes that Python spends on an entry, about."""


class Memory:
    """The answers last given, by the digest of their claim; the oldest make room."""

    def __init__(
        self,
        *,
        max_bytes: int = MAX_BYTES,
        life_s: float = LIFE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._life_s = life_s
        self._monotonic = monotonic
        self._entries: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes) -> bytes | None:
        """Return a sealed answer, if it is known here and still of use."""
        found = self._entries.get(digest)
        if found is None:
            return None
        at, sealed = found
        if self._monotonic() - at > self._life_s:
            self._drop(digest)
            return None
        return sealed

    def share(self, digest: bytes, sealed: bytes) -> None:
        """Keep a sealed answer; a memory by itself has nobody to tell."""
        self.put(digest, sealed)

    def put(self, digest: bytes, sealed: bytes) -> None:
        """Keep a sealed answer."""
        if digest in self._entries:
            self._drop(digest)
        self._entries[digest] = (self._monotonic(), sealed)
        self._bytes += len(sealed) + _OVERHEAD
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, digest: bytes) -> None:
        _, sealed = self._entries.pop(digest)
        self._bytes -= len(sealed) + _OVERHEAD
