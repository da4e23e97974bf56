"""Pools of the dedicated tier: one a tenant, as many as are in use and some more."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.config import DatabaseSettings
from crossdock.db.budget import Budget
from crossdock.db.database import Database
from crossdock.db.dedicated import login_of
from crossdock.db.engine import engine_of
from crossdock.db.tenant_pool import TenantPool


class _Pool(msgspec.Struct):
    pool: TenantPool
    users: int = 0


class DedicatedPools:
    """The pools of tenants that have a role of their own, on whichever shard.

    The one least recently used closes when there are too many. One in use does not; how many are
    is bounded by the connections that all of them may hold together.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self._size = settings.dedicated_pool_size
        self._limit = settings.dedicated_pools
        self._budget = Budget(
            "dedicated",
            total=self._size * self._limit,
            each=self._size,
            timeout_s=settings.acquire_timeout_s,
            tier="dedicated",
        )
        self._pools: OrderedDict[tuple[int, UUID], _Pool] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pools)

    async def close(self) -> None:
        """Close all connections."""
        while self._pools:
            _, closing = self._pools.popitem()
            await closing.pool.close()

    @asynccontextmanager
    async def enter(self, database: Database, tenant_id: UUID) -> AsyncIterator[AsyncConnection]:
        """Enter a tenant by its own role; see `TenantPool.enter`.

        Raises:
            RoleRefused: the role is not there, or no longer.
        """
        place = (database.number, tenant_id)
        used = self._pools.get(place)
        if used is None:
            used = self._pools[place] = _Pool(self._make(database, tenant_id))
        self._pools.move_to_end(place)
        used.users += 1
        try:
            async with used.pool.enter(tenant_id) as connection:
                yield connection
        finally:
            used.users -= 1
            await self._close_surplus()

    def _make(self, database: Database, tenant_id: UUID) -> TenantPool:
        engine = engine_of(
            database.settings,
            "app",
            size=self._size,
            login=login_of(database.settings, tenant_id),
            isolation_level="AUTOCOMMIT",
        )
        return TenantPool(engine, self._budget)

    async def _close_surplus(self) -> None:
        surplus = len(self._pools) - self._limit
        if surplus <= 0:
            return
        idle = [place for place, used in self._pools.items() if not used.users]
        closing = [self._pools.pop(place).pool for place in idle[:surplus]]
        for pool in closing:
            await pool.close()
