"""One stream from its first word to its last."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

import structlog

from crossdock.errors import Refused, Unavailable
from crossdock.inbound.model import EventSummary
from crossdock.inbound.stream import reader, rules
from crossdock.inbound.stream.hub import Hub
from crossdock.inbound.stream.listener import Listener
from crossdock.inbound.stream.model import Wanted

HEARTBEAT_S: Final = 15.0
LIFE_S: Final = 3_600.0
"""Then its reader comes again, to whichever process there is then."""
JITTER: Final = 0.1

Write = Callable[[bytes], Awaitable[None]]
Check = Callable[[], Awaitable[object]]

log = structlog.get_logger(__name__)


class Session:
    """What one reader is sent."""

    def __init__(
        self,
        hub: Hub,
        tenant_id: UUID,
        wanted: Wanted,
        check: Check,
        *,
        after: UUID | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        life_s: float = LIFE_S,
    ) -> None:
        """Say what.

        Args:
            hub: gives listeners.
            tenant_id: whose events.
            wanted: which of them.
            check: raises `Refused` or `Unavailable` once the reader may hear no more.
            after: the event, as its id, behind which it begins; from now on, if there is none.
            heartbeat_s: after so long something is said, if only a comment, and `check` is asked.
            life_s: how long a stream lasts, a tenth more or less.
        """
        self._hub = hub
        self._tenant_id = tenant_id
        self._wanted = wanted
        self._check = check
        self._after = after
        self._heartbeat_s = heartbeat_s
        self._clock: Final = asyncio.get_running_loop().time
        spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
        self._ends_at = self._clock() + life_s * spread
        self._beat_at = self._clock() + heartbeat_s

    async def serve(self, listener: Listener, write: Write) -> None:
        """Send a reader what it missed, then what comes, until that ends.

        Args:
            listener: hears from now on.
            write: sends bytes, and waits while the reader is slow.
        """
        await write(rules.HELLO)
        try:
            if self._after is not None:
                await self._catch_up(self._after, listener, write)
            while listener.ended is None:
                chunk = await listener.next(self._beat_at)
                if chunk:
                    await write(chunk)
                await self._beat(listener, write)
        except Unavailable as error:
            log.info("stream_ends", reason=str(error))
            listener.end("refused")
        await write(rules.end(listener.ended or "refused"))

    async def _catch_up(self, after: UUID, listener: Listener, write: Write) -> None:
        """Send what is stored behind an event, however much that is.

        Until all of it was read the listener keeps nothing, for it could not keep enough. Then it
        begins to, and what may have come in between is read again.
        """
        sent: set[UUID] = set()
        position = after
        for listener.is_deaf in (True, False):
            async for page in reader.pages(
                self._hub.events, self._tenant_id, rules.behind(position), self._wanted.source_id
            ):
                position = max(position, page[-1].id)
                fresh = [one for one in page if one.id not in sent]
                await self._send(fresh, position, write)
                least = rules.behind(position)
                sent = {one for one in sent if one > least} | {one.id for one in fresh}
                await self._beat(listener, write)
                if listener.ended is not None:
                    return

    async def _send(self, found: Sequence[EventSummary], position: UUID, write: Write) -> None:
        wanted = [one for one in found if rules.takes(self._wanted, one)]
        async for part in reader.items(
            self._hub.events, self._tenant_id, wanted, payloads=self._wanted.payloads
        ):
            await write(rules.chunk(self._wanted, part, self._hub.show, position))

    async def _beat(self, listener: Listener, write: Write) -> None:
        """Now and then: say that the stream lives, and see whether it still may."""
        now = self._clock()
        if now >= self._ends_at:
            listener.end("over")
        if now < self._beat_at or listener.ended is not None:
            return
        self._beat_at = now + self._heartbeat_s
        try:
            await self._check()
        except Refused:
            listener.end("refused")
        else:
            await write(rules.HEARTBEAT)
