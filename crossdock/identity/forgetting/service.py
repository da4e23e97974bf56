"""The duty of forgetting, once in a while by any worker: of two at once, one finds nothing left."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Final

import structlog

from crossdock.db import Database, Databases
from crossdock.identity.forgetting import store
from crossdock.identity.forgetting.store import OF_CONTROL, OF_TENANTS, Connection, Duty
from crossdock.identity.throttle import Throttle
from crossdock.tenancy.signup import Founder

BATCH: Final = 1000

log = structlog.get_logger(__name__)


async def forget_on_shard(database: Database, *, batch: int = BATCH) -> None:
    """Remove what has ended of a shard's tenants; needs the role `maintenance`.

    Raises:
        DatabaseUnavailable: the shard is away; what is left is left for the next time.
    """
    await _forget(database.maintenance, OF_TENANTS, batch)


async def forget_in_control(
    database: Databases,
    *,
    batch: int = BATCH,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Remove what has ended in the control database; needs the roles `control` and `operator`.

    Signups that broke off half-way are finished first.

    Raises:
        DatabaseUnavailable: it is away; what is left is left for the next time.
    """
    await Throttle(database).forget()
    await Founder(database, clock=clock).forget()
    await _forget(database.control, OF_CONTROL, batch)


async def _forget(
    begin: Callable[[], AbstractAsyncContextManager[Connection]], duty: Duty, batch: int
) -> None:
    for table, past in duty.items():
        removed = await _all(begin, table, past, batch)
        if removed:
            log.info("forgotten", table=table, rows=removed)


async def _all(
    begin: Callable[[], AbstractAsyncContextManager[Connection]], table: str, past: str, batch: int
) -> int:
    """Remove all of a table that is past, a transaction a batch; return how many."""
    removed = 0
    while True:
        async with begin() as conn:
            some = await store.forget(conn, table, past, batch)
        removed += some
        if some < batch:
            return removed
