"""The end of keys: in batches, each a transaction of a moment."""

from typing import Final

import structlog

from crossdock.db import Database
from crossdock.idempotency import store

BATCH: Final = 1000

log = structlog.get_logger(__name__)


async def forget_expired(database: Database, *, batch: int = BATCH) -> int:
    """Delete a shard's keys whose time is up; return how many there were.

    Raises:
        DatabaseUnavailable: the database is away; what is left is left for the next time.
    """
    gone = 0
    while True:
        async with database.maintenance() as conn:
            found = await store.expire(conn, batch)
        gone += found
        if found < batch:
            break
    if gone:
        log.info("idempotency_keys_expired", keys=gone, shard=database.number)
    return gone
