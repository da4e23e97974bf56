"""The use cases of retention: what a tenant may know of it, and what an operator may do."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from crossdock.db import Databases, retention
from crossdock.paging import Slice, Window
from crossdock.retention import store
from crossdock.retention.model import Drop, Pass, Total

MOST_TOTALS: Final = 1000


class Retention:
    """What went of a tenant's events, and when events go."""

    def __init__(self, databases: Databases, *, days: int) -> None:
        self._databases = databases
        self.days: Final = days
        """For how long events are kept; what is not finished outlives them."""

    async def page(self, tenant_id: UUID, window: Window) -> Slice[Drop]:
        """Return a page of what went, newest first."""
        async with self._databases.tenant(tenant_id) as conn:
            return Slice.cut(await store.page(conn, tenant_id, window), window)


class Passes:
    """An operator's way to retention, on all shards; opened with the role `maintenance`."""

    def __init__(
        self,
        databases: Databases,
        *,
        days: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._databases = databases
        self._days = days
        self._clock = clock

    async def totals(self, limit: int) -> list[Total]:
        """Return what went lately, newest first.

        Args:
            limit: rows at most, up to `MOST_TOTALS`.

        Raises:
            DatabaseUnavailable: a shard is away.
        """
        found: list[Total] = []
        limit = min(limit, MOST_TOTALS)
        for number, database in sorted((await self._databases.shards()).items()):
            async with database.maintenance() as conn:
                found += await store.totals(conn, number, limit)
        return sorted(found, key=lambda one: (one.dropped_at, one.begins), reverse=True)[:limit]

    async def run(self, *, dry: bool = False) -> list[Pass]:
        """Do now what a worker does every hour, or only say what that would be.

        Raises:
            DatabaseUnavailable: a shard is away; those before it are done.
        """
        cutoff = self._clock() - timedelta(days=self._days)
        found = []
        for number, database in sorted((await self._databases.shards()).items()):
            async with database.session("maintenance") as connection:
                if dry:
                    due = await retention.due_before(connection, cutoff)
                    found.append(Pass(shard=number, due=tuple(due)))
                else:
                    report = await retention.drop_before(connection, cutoff)
                    found.append(Pass(shard=number, report=report))
        return found
