"""Which tenants were suspended, resumed, or changed their destinations a moment ago."""

import time
from collections.abc import Callable, Collection
from typing import Final
from uuid import UUID

from crossdock.db.database import Database
from crossdock.inbound import changes

POLL_S: Final = 0.25
"""One small query each: what a suspended tenant's deliveries go on for, at the longest."""


class Feed:
    """What changed since it was asked last."""

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._now = monotonic
        self._position = changes.NOTHING_YET
        self._asked_at = monotonic()

    async def changed(self) -> Collection[UUID] | None:
        """Return the tenants that changed; `None` where it may be any of them.

        Raises:
            DatabaseUnavailable: the database is away.
        """
        asked, is_late = self._position, self._now() - self._asked_at > changes.FEED_S
        async with self._database.queue() as conn:
            position, found = await changes.since(conn, asked)
        self._position, self._asked_at = position, self._now()
        if asked == changes.NOTHING_YET:
            return ()
        # A lower one is another server's, or one's that was restored.
        return None if is_late or position < asked else found
