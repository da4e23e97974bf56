"""One listener: what waits to be sent to it, within bounds, and why it ends."""

import asyncio
from collections import deque
from typing import Final

from crossdock.inbound.stream.model import Reason, Wanted

MOST_BYTES: Final = 1024 * 1024
"""What may wait for a slow reader; one chunk may be larger, but none waits behind others then."""


class Listener:
    """A bounded queue of bytes."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted: Final = wanted
        self.ended: Reason | None = None
        self.is_deaf = False
        """Whether it keeps nothing for now, because its reader is still being sent older events."""
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def offer(self, chunk: bytes) -> None:
        """Have something sent; a reader that is too slow for it is ended instead."""
        if self.ended is not None or self.is_deaf:
            return
        if self._waiting and self._size + len(chunk) > MOST_BYTES:
            self._waiting.clear()
            self.end("lagged")
            return
        self._waiting.append(chunk)
        self._size += len(chunk)
        self._wake()

    def end(self, reason: Reason) -> None:
        """Say that it is over, once what waits has been sent."""
        self.ended = self.ended or reason
        self._wake()

    def close(self) -> None:
        """Let go of what would wake it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def next(self, until: float) -> bytes:
        """Return what waits, as soon as there is something; nothing, if it is over or in vain.

        Of a thousand listeners each is sent something now and then, and so one timer serves many
        calls: it may wake an earlier one in vain, and is set again then.

        Args:
            until: when to give up, by the loop's clock.
        """
        if not self._waiting and self.ended is None:
            loop = asyncio.get_running_loop()
            self._timer = self._timer or loop.call_at(until, self._ring)
            self._waiter = loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        found = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        return found

    def _ring(self) -> None:
        self._timer = None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
