"""Reads request bodies: bounded in size, and in time without a timer a request.

The server itself would wait for a stalled sender for ever.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from crossdock.errors import Malformed, TimedOut, TooLarge
from gateway.asgi import Receive


class Bodies:
    """The bodies that are being read right now.

    Each has a number. Every tick notes how far the numbers had come, so that a later tick knows
    which are too old, and cancels the wait of those.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s: Final = timeout_s
        self._loop = asyncio.get_running_loop()
        self._next = 0
        self._readers: dict[int, asyncio.Task[object] | None] = {}
        self._marks: deque[tuple[float, int]] = deque()
        self._late: set[int] = set()

    async def read(
        self,
        receive: Receive,
        length: int,
        limit: int,
        hold: Callable[[int], None] | None = None,
    ) -> bytes:
        """Return a whole body.

        Args:
            receive: ASGI's.
            length: what the request says it is, or `gateway.edge.unread.UNKNOWN`.
            limit: the most bytes it may have.
            hold: is told how many bytes have come, each time that some have; it may raise.

        Raises:
            TooLarge: it is longer; not more than that was read of it.
            TimedOut: it did not come in time.
            Malformed: the sender went away.
        """
        if length > limit:
            raise TooLarge
        number = self._next = self._next + 1
        # Naming the loop saves a look-up in Python before 3.12.
        self._readers[number] = asyncio.current_task(self._loop)
        try:
            event = await receive()
            body: bytes = event.get("body", b"")
            if hold is not None:
                hold(len(body))
            if len(body) != length and event.get("more_body"):
                body = await _rest(receive, body, length, limit, hold)
        except asyncio.CancelledError:
            if number not in self._late:
                raise
            self._late.remove(number)
            cast("asyncio.Task[object]", self._readers[number]).uncancel()
            raise TimedOut from None
        finally:
            del self._readers[number]
        if event["type"] == "http.disconnect":
            raise Malformed("The body ended before it was complete.")
        if len(body) > limit:
            raise TooLarge
        return body

    def tick(self, now: float) -> None:
        """Cancel what has been read for too long; `now` is monotonic seconds."""
        self._marks.append((now, self._next))
        reached = 0
        while self._marks and now - self._marks[0][0] >= self._timeout_s:
            reached = self._marks.popleft()[1]
        for number, task in self._readers.items():
            if number > reached:
                break
            if task is not None and number not in self._late:
                self._late.add(number)
                task.cancel()


async def _rest(
    receive: Receive, first: bytes, length: int, limit: int, hold: Callable[[int], None] | None
) -> bytes:
    """Return a body of several chunks; the server's last one may be empty."""
    chunks = [first]
    size = len(first)
    more = True
    while more and size != length:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Malformed("The body ended before it was complete.")
        chunk = event.get("body", b"")
        more = event.get("more_body", False)
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise TooLarge
        if hold is not None:
            hold(size)
    return b"".join(chunks)
