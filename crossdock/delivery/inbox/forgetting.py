"""The end of what inboxes show: they are for trying things out, and hold payloads in the clear."""

from datetime import UTC, datetime
from typing import Final

from crossdock import ids
from crossdock.db import Database
from crossdock.delivery.inbox import store
from crossdock.delivery.inbox.model import KEPT_FOR

BATCH: Final = 1000


async def forget_messages(
    database: Database, *, now: datetime | None = None, batch: int = BATCH
) -> int:
    """Delete what is too old of a shard's inboxes; return how many messages there were.

    Args:
        database: opened with the role `maintenance`.
        now: injected by tests.
        batch: messages in one transaction.

    Raises:
        DatabaseUnavailable: the database is away; what is left is left for the next time.
    """
    before, gone = ids.floor((now or datetime.now(UTC)) - KEPT_FOR), 0
    while True:
        async with database.maintenance() as conn:
            found = await store.expire(conn, before, batch)
        gone += found
        if found < batch:
            return gone
