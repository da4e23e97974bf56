"""Statements of erasing: on whatever tables there are, by what they say of themselves."""

from collections.abc import Sequence
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg
from sqlalchemy import Table

from crossdock.schema import metadata

RawConnection: TypeAlias = asyncpg.Connection
"""A connection of `operator`, `control` or `maintenance`, for callers who only pass it on."""

KEPT: Final = frozenset({"audit"})
"""What a tenant leaves behind, beside its own row."""

FEEDS: Final = frozenset({"outbox", "route_changes"})
"""Nothing but ids, which others have yet to read; each empties itself within two hours."""


def erasable() -> list[Table]:
    """Return the tables whose rows go, those first that others lead to."""
    return [
        table
        for table in reversed(metadata.sorted_tables)
        if table.info.get("tenant") == "tenant_id"
        and not table.info.get("control")
        and table.name not in KEPT | FEEDS
    ]


async def due(conn: asyncpg.Connection) -> list[UUID]:
    """Return tenants whose grace is over, and those whose erasing was begun and is not done."""
    rows = await conn.fetch(
        "SELECT id FROM crossdock.tenants"
        " WHERE state IN ('terminating', 'terminated') AND terminate_at <= now() ORDER BY id"
    )
    return [row["id"] for row in rows]


async def has_untold(conn: asyncpg.Connection, tenant_id: UUID) -> bool:
    """Tell whether gateways have yet to be told of something of the tenant's."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM crossdock.outbox"
        " WHERE tenant_id = $1 AND published_at IS NULL)",
        tenant_id,
    )
    return found


async def has_feeds(conn: asyncpg.Connection, tenant_id: UUID) -> bool:
    """Tell whether there is still something of the tenant's for others to read."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM crossdock.outbox WHERE tenant_id = $1)"
        " OR EXISTS (SELECT FROM crossdock.route_changes WHERE tenant_id = $1)",
        tenant_id,
    )
    return found


async def erase_some(conn: asyncpg.Connection, table: Table, tenant_id: UUID, limit: int) -> int:
    """Delete some rows of the tenant that was entered; return how many there were."""
    others = ", ".join(_others(table)) or "tenant_id"  # of a table with one row a tenant
    name = f"crossdock.{table.name}"
    inside = f"FROM {name} WHERE tenant_id = $1"  # names are the schema's own
    done: str = await conn.execute(
        f"DELETE {inside} AND ({others}) IN (SELECT {others} {inside} LIMIT $2)", tenant_id, limit
    )
    return int(done.rpartition(" ")[2])


async def forget_logins(conn: asyncpg.Connection, tenant_id: UUID) -> None:
    """Remove what leads from e-mail addresses to a tenant."""
    await conn.execute("DELETE FROM crossdock.logins WHERE tenant_id = $1", tenant_id)


async def forget_signup(conn: asyncpg.Connection, tenant_id: UUID) -> None:
    """Remove the form that a tenant was made from."""
    await conn.execute("DELETE FROM crossdock.signups WHERE tenant_id = $1", tenant_id)


async def mark_erased(conn: asyncpg.Connection, tenant_id: UUID) -> None:
    """Note that nothing of a tenant is left to erase."""
    await conn.execute(
        "UPDATE crossdock.tenants SET terminate_at = NULL, quotas = '{}' WHERE id = $1", tenant_id
    )


def _others(table: Table) -> Sequence[str]:
    """Return the columns that tell a tenant's rows apart."""
    return [column.name for column in table.primary_key.columns if column.name != "tenant_id"]
