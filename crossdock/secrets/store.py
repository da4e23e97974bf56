"""Statements on tenants' data keys."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.secrets.tables import payload_keys
from proto.settings import WrappedKey


async def current(conn: AsyncConnection, tenant_id: UUID) -> WrappedKey | None:
    """Return the key that seals a tenant's payloads now."""
    query = select(payload_keys.c.id, payload_keys.c.wrapped).where(
        payload_keys.c.tenant_id == tenant_id, payload_keys.c.retired_at.is_(None)
    )
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else WrappedKey(row.id.bytes, row.wrapped)


async def get(conn: AsyncConnection, tenant_id: UUID, key_id: UUID) -> WrappedKey | None:
    """Return one of a tenant's keys, retired or not."""
    query = select(payload_keys.c.wrapped).where(
        payload_keys.c.tenant_id == tenant_id, payload_keys.c.id == key_id
    )
    wrapped = (await conn.execute(query)).scalar_one_or_none()
    return None if wrapped is None else WrappedKey(key_id.bytes, wrapped)


async def add(conn: AsyncConnection, tenant_id: UUID, key_id: UUID, wrapped: bytes) -> None:
    """Insert a tenant's current key, unless it has one."""
    await conn.execute(
        insert_or(payload_keys)
        .values(tenant_id=tenant_id, id=key_id, wrapped=wrapped)
        .on_conflict_do_nothing(
            index_elements=["tenant_id"], index_where=text("retired_at IS NULL")
        )
    )


_MANY: Final = """
SELECT k.tenant_id, k.id, k.wrapped
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)
JOIN crossdock.payload_keys AS k USING (tenant_id, id)
"""


async def get_many(
    conn: asyncpg.Connection, wanted: Collection[tuple[UUID, UUID]]
) -> list[tuple[UUID, WrappedKey]]:
    """Return those of these keys, by tenant and id, that there are."""
    rows = await conn.fetch(_MANY, [tenant for tenant, _ in wanted], [one for _, one in wanted])
    return [(row[0], WrappedKey(row[1].bytes, row[2])) for row in rows]
