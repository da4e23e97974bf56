"""The use case: how a destination has done lately; and the end of what was counted long ago."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from crossdock.db import Database, Databases
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.stats import rules, store
from crossdock.delivery.stats.model import Report
from crossdock.errors import NotFound

KEPT: Final = timedelta(days=30)
BATCH: Final = 5000
MOST_PENDING: Final = 10_000
"""Deliveries that are counted; more are told to be more."""

log = structlog.get_logger(__name__)


class Stats:
    """Tells how destinations do."""

    def __init__(
        self, database: Databases, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def of(self, tenant_id: UUID, destination_id: UUID, hours: int) -> Report:
        """Return what came of a destination's attempts in the last hours, this one included.

        Raises:
            NotFound: this tenant has no such destination.
        """
        now = self._clock()
        begin = rules.begin_of_hour(now) - rules.HOUR * (hours - 1)
        async with self._database.tenant(tenant_id) as conn:
            if not await destinations.living(conn, tenant_id, [destination_id]):
                raise NotFound
            found = await store.since(conn, tenant_id, destination_id, begin)
            backlog = await store.backlog(conn, tenant_id, destination_id, MOST_PENDING)
        series = rules.series(found, now, hours)
        return Report(destination_id, rules.add(one.counts for one in series), series, backlog)


async def forget_stats(
    database: Database, *, now: datetime | None = None, batch: int = BATCH
) -> int:
    """Delete what was counted more than 30 days ago; return how many rows there were.

    Args:
        database: opened with the role `maintenance`.
        now: injected by tests.
        batch: rows in one transaction.

    Raises:
        DatabaseUnavailable: the database is away; what is left is left for the next time.
    """
    moment = (now or datetime.now(UTC)) - KEPT
    gone = 0
    while True:
        async with database.maintenance() as conn:
            found = await store.forget_before(conn, moment, batch)
        gone += found
        if found < batch:
            break
    if gone:
        log.info("stats_forgotten", rows=gone, shard=database.number)
    return gone
