"""A look at breakers from afar: what their processes tell each other, for whoever only shows it.

It follows a bucket while somebody asks, and for a minute more; what it knows is as old as the
watch is late, which is some milliseconds, or says that it does not know.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from crossdock.breakers import rules
from crossdock.breakers.model import Pause, Record, Scope, View
from crossdock.breakers.sharing import KEPT_S, PAUSE, STATE
from crossdock.bus.connection import Bus
from crossdock.bus.kv import Bucket, Entry, Watch

IDLE_S: Final = 60.0
LOADED_WITHIN_S: Final = 2.0
CAPACITY: Final = 20_000
_POLL_S: Final = 0.01

_record: Final = msgspec.json.Decoder(Record)
_pause: Final = msgspec.json.Decoder(Pause)


class Readers:
    """One for each bucket that somebody asks about."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._readers: dict[str, Reader] = {}

    async def view(self, bucket: str, scope: Scope) -> View | None:
        """Return a breaker of a bucket's as it looks from here; see `Reader.view`."""
        if bucket not in self._readers:
            self._readers[bucket] = Reader(self._bus, bucket)
        return await self._readers[bucket].view(scope)

    async def close(self) -> None:
        """Stop following."""
        for reader in self._readers.values():
            await reader.close()


class Reader:
    """Follows one bucket, and never says anything in it."""

    def __init__(
        self,
        bus: Bus,
        bucket: str,
        *,
        idle_s: float = IDLE_S,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Say where.

        Args:
            bus: a connection, which may come and go.
            bucket: its name; it need not be there.
            idle_s: when to stop following, after the last question.
            capacity: values kept; of more, those that changed last.
            clock: unix seconds.
            monotonic: seconds that only grow.
        """
        self._watch = Watch(Bucket(bus, bucket), self._on_entry, on_reload=self._forget)
        self._idle_s = idle_s
        self._capacity = capacity
        self._clock = clock
        self._now = monotonic
        self._asked_at = 0.0
        self._known: dict[str, tuple[Record | Pause, float]] = {}
        """What was told, and when what it says ends, by the monotonic clock."""
        self._following: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._known)

    @property
    def is_following(self) -> bool:
        """Whether the bucket is followed right now."""
        return self._following is not None and not self._following.done()

    async def view(self, scope: Scope) -> View | None:
        """Return a breaker as it looks from here; `None` while the bucket can't be followed."""
        self._asked_at = self._now()
        if not self.is_following:
            self._following = asyncio.create_task(self._follow())
        ends = self._now() + LOADED_WITHIN_S
        while not (self._watch.alive and self._watch.loaded):
            if self._now() >= ends:
                return None
            await asyncio.sleep(_POLL_S)
        return self._view(scope)

    async def close(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])

    async def _follow(self) -> None:
        watching = asyncio.create_task(self._watch.run())
        try:
            while not watching.done() and self._now() < self._asked_at + self._idle_s:
                await asyncio.wait([watching], timeout=self._idle_s / 4)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            self._forget()

    def _view(self, scope: Scope) -> View:
        now, clock = self._now(), self._clock()
        told = self._known.get(STATE + scope.key)
        pause = self._known.get(PAUSE + scope.key)
        paused = clock + pause[1] - now if pause is not None and pause[1] > now else None
        record, ends = (None, 0.0) if told is None else told
        if not isinstance(record, Record):
            return View("closed", None, None, 0, 0, paused)
        # The broker tells nobody when it drops a value: what would be gone there is forgotten.
        if record.state == "closed" or ends + KEPT_S <= now:
            return View("closed", record.at, None, 0, 0, paused)
        if ends <= now:
            return View("half-open", record.at, None, record.calls, record.failed, paused)
        return View("open", record.at, clock + ends - now, record.calls, record.failed, paused)

    def _on_entry(self, entry: Entry) -> None:
        kind = entry.key[:2]
        with suppress(ValueError, msgspec.DecodeError):
            told: Record | Pause
            if kind == STATE:
                told = _record.decode(entry.value)
                span_s = told.rest_s
            elif kind == PAUSE:
                told = _pause.decode(entry.value)
                span_s = told.for_s
            else:
                return
            self._known.pop(entry.key, None)
            if len(self._known) >= self._capacity:
                del self._known[next(iter(self._known))]
            left_s = rules.left_s(told.at, span_s, self._clock())
            self._known[entry.key] = (told, self._now() + left_s)

    def _forget(self) -> None:
        self._known.clear()
