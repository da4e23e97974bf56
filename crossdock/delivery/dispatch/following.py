"""Keeps what waits in memory true to what its owners, and other processes, have changed."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, NoReturn
from uuid import UUID

import structlog

from crossdock.delivery.dispatch.feed import POLL_S, Feed
from crossdock.delivery.dispatch.lines import Key, Lines
from crossdock.delivery.dispatch.queue import Job, Queue
from crossdock.delivery.dispatch.targets import Targets
from crossdock.endless import together
from crossdock.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)


class Following:
    """One for a dispatcher."""

    def __init__(
        self, feed: Feed, targets: Targets, lines: Lines[Job], queue: Queue, poll_s: float
    ) -> None:
        self._feed = feed
        self._targets = targets
        self._lines = lines
        self._queue = queue
        self._poll_s: Final = poll_s
        self.on_closed: Callable[[Key], None] = lambda _: None
        """Called for a destination that is called no longer."""
        self.on_moved: Callable[[], None] = lambda: None
        """Called when more may be due, or start, than before."""

    async def run(self) -> NoReturn:
        """Follow until cancelled."""
        await together(self._refresh_forever(), self._follow_changes())

    async def _refresh_forever(self) -> NoReturn:
        """Keep the destinations of waiting deliveries as fresh as those of new ones."""
        while True:
            await asyncio.sleep(self._poll_s)
            waiting = self._lines.waiting_keys()
            try:
                await self._targets.load(waiting)
            except DatabaseUnavailable:
                log.debug("refresh_waits")
            for key in waiting:
                self._lines.look_again(key)
            if waiting:
                self.on_moved()

    async def _follow_changes(self) -> NoReturn:
        """Hold back what was just closed, and let go on what was opened again."""
        while True:
            try:
                tenants = await self._feed.changed()
                if tenants is None or tenants:
                    await self._renew(tenants)
            except DatabaseUnavailable:
                log.debug("changes_wait")
            await asyncio.sleep(POLL_S)

    async def _renew(self, tenants: Collection[UUID] | None) -> None:
        """Read tenants' destinations anew, and give back what waits for those that are closed."""
        outdated = self._targets.outdate(tenants)
        self._queue.hurry(tenants)
        self.on_moved()
        for key, ready in (await self._targets.load(outdated)).items():
            if ready is None or not ready.target.enabled:
                self.on_closed(key)
            else:
                self._lines.look_again(key)
        self.on_moved()
