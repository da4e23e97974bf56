"""The control database: shard 0, which also knows what must be known before a tenant is.

Which shards there are, which tenant lives where, where an address may sign in, the keys that sign
tokens. The tables are in every database, for there is one history; only shard 0's are used.
"""

from typing import Final
from uuid import UUID

import asyncpg

from crossdock.config import DatabaseRole, DatabaseSettings
from crossdock.db.engine import connecting
from crossdock.db.failures import translating

CONTROL: Final = 0

PLATFORM: Final = UUID("00000000-0000-7000-8000-000000000000")
"""The tenant that operators are users of."""

PLATFORM_SLUG: Final = "platform"

_TENANT: Final = """
    INSERT INTO crossdock.tenants (id, slug, name, state, shard, plan)
    VALUES ($1, $2, 'Platform', 'active', $3, 'unlimited') ON CONFLICT DO NOTHING
"""
_SHARD: Final = """
    INSERT INTO crossdock.shards (id, name, url) VALUES ($1, 'main', '') ON CONFLICT DO NOTHING
"""
_PLACEMENTS: Final = """
    INSERT INTO crossdock.placements (tenant_id, slug, name, shard)
    SELECT t.id, t.slug, t.name, $4
    FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t (id, slug, name)
    ON CONFLICT DO NOTHING
"""


async def settle_control(settings: DatabaseSettings) -> None:
    """Write down shard 0, the platform's tenant, and the places of tenants that have none yet.

    As the roles whose work it is: the owner itself sees no rows.

    Raises:
        DatabaseUnavailable: the database is away.
    """
    with translating():
        conn = await _connect(settings, "maintenance")
        try:
            await conn.execute(_TENANT, PLATFORM, PLATFORM_SLUG, CONTROL)
            tenants = await conn.fetch(
                "SELECT id, slug, name FROM crossdock.tenants WHERE shard = $1", CONTROL
            )
        finally:
            await conn.close()
        conn = await _connect(settings, "control")
        try:
            await conn.execute(_SHARD, CONTROL)
            columns = [[row[name] for row in tenants] for name in ("id", "slug", "name")]
            await conn.execute(_PLACEMENTS, *columns, CONTROL)
        finally:
            await conn.close()


async def _connect(settings: DatabaseSettings, role: DatabaseRole) -> asyncpg.Connection:
    return await asyncpg.connect(**connecting(settings, role))
