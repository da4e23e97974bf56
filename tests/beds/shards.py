"""Two shards on one server, and tenants on both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import text

from crossdock import ids
from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres

MARK = "INSERT INTO crossdock.api_keys (tenant_id, id, name, secret_hash, permissions)"


class Town:
    """Shards 0 and 1 as their administrator sees them. Copies of one database: see `open`."""

    def __init__(self, settings: DatabaseSettings, admins: tuple[asyncpg.Connection, ...]) -> None:
        self.settings = settings
        self.admins = admins

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        server: EmbeddedPostgres,
        first: DatabaseSettings,
        second: DatabaseSettings,
        *,
        second_server: EmbeddedPostgres | None = None,
    ) -> AsyncIterator[Self]:
        """Make two migrated databases one installation; both begin as shard 0."""
        admins = [
            await asyncpg.connect(each.admin_url(settings.url.rpartition("/")[2]))
            for each, settings in ((server, first), (second_server or server, second))
        ]
        await admins[1].execute("UPDATE crossdock.home SET shard = 1")
        await admins[0].execute(
            "INSERT INTO crossdock.shards (id, name, url) VALUES (1, 'second', $1)", second.url
        )
        yield cls(first, tuple(admins))
        for admin in admins:
            await admin.close()

    async def add(self, shard: int, *, tier: str = "shared") -> UUID:
        """Make a tenant, with one API key by which its rows are told from others'."""
        tenant_id = ids.new()
        await self.admins[0].execute(
            "INSERT INTO crossdock.placements (tenant_id, slug, name, shard, tier)"
            " VALUES ($1, $1::uuid::text, 'a tenant', $2, $3)",
            tenant_id,
            shard,
            tier,
        )
        await self._put(tenant_id, shard)
        return tenant_id

    async def move(self, tenant_id: UUID, shard: int) -> None:
        """Move a tenant as a migration of it would end: rows there, a tombstone here."""
        await self._put(tenant_id, shard)
        await self.admins[1 - shard].execute(
            "UPDATE crossdock.tenants SET shard = $2 WHERE id = $1", tenant_id, shard
        )
        await self.admins[0].execute(
            "UPDATE crossdock.placements SET shard = $2 WHERE tenant_id = $1", tenant_id, shard
        )

    async def _put(self, tenant_id: UUID, shard: int) -> None:
        admin = self.admins[shard]
        await admin.execute(
            "INSERT INTO crossdock.tenants (id, slug, name, shard)"
            " VALUES ($1, $1::uuid::text, 'a tenant', $2)",
            tenant_id,
            shard,
        )
        await admin.execute(f"{MARK} VALUES ($1, $2, 'key', '', '{{}}')", tenant_id, ids.new())


def resized(settings: DatabaseSettings, **changes: float) -> DatabaseSettings:
    """Return settings with other sizes."""
    return msgspec.structs.replace(settings, **changes)


async def seen(databases: Databases, tenant_id: UUID) -> tuple[int, set[UUID]]:
    """Return on which shard a tenant is entered, and whose rows it sees there."""
    async with databases.tenant(tenant_id) as conn:
        shard = await conn.scalar(text("SELECT shard FROM crossdock.home"))
        rows = await conn.execute(text("SELECT tenant_id FROM crossdock.api_keys"))
        assert shard is not None
        return shard, set(rows.scalars())
