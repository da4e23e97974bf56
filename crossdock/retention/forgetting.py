"""The end of what is told about the past: refusals, their counts, and what retention dropped."""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from crossdock import ids
from crossdock.db import Database
from crossdock.retention import store

REFUSALS: Final = timedelta(days=7)
COUNTS: Final = timedelta(days=90)
DROPS: Final = timedelta(days=365)
BATCH: Final = 1000

log = structlog.get_logger(__name__)


async def forget_told(
    database: Database, *, now: datetime | None = None, batch: int = BATCH
) -> int:
    """Delete what a shard need not tell any more; return how many rows there were.

    Args:
        database: opened with the role `maintenance`.
        now: injected by tests.
        batch: refusals in one transaction.

    Raises:
        DatabaseUnavailable: the database is away; what is left is left for the next time.
    """
    now = now or datetime.now(UTC)
    gone = 0
    while True:
        async with database.maintenance() as conn:
            found = await store.forget_refusals(conn, ids.floor(now - REFUSALS), batch)
        gone += found
        if found < batch:
            break
    async with database.maintenance() as conn:
        gone += await store.forget_counts(conn, (now - COUNTS).date())
        gone += await store.forget_drops(conn, now - DROPS)
    if gone:
        log.info("told_forgotten", rows=gone, shard=database.number)
    return gone
