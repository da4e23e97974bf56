"""Statements of simulations, inside one tenant's transaction."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.event_types.tables import event_type_versions as versions
from crossdock.event_types.tables import event_types


async def schema_of(
    conn: AsyncConnection, tenant_id: UUID, name: str
) -> tuple[str, int, str] | None:
    """Return mode, number and text of the schema that events of a type are held to, if to any."""
    query = (
        select(event_types.c.mode, versions.c.number, versions.c.schema)
        .join(
            versions,
            (versions.c.tenant_id == event_types.c.tenant_id)
            & (versions.c.event_type_id == event_types.c.id)
            & (versions.c.number == event_types.c.latest),
        )
        .where(
            event_types.c.tenant_id == tenant_id,
            event_types.c.name == name,
            event_types.c.mode != "off",
        )
    )
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else (row[0], row[1], row[2])
