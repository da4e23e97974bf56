"""Statements on recovery codes, each inside one tenant's transaction."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import delete, func, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.identity.tables import recovery_codes


async def add(
    conn: AsyncConnection, tenant_id: UUID, user_id: UUID, digests: Iterable[bytes]
) -> None:
    """Insert the hashes of recovery codes."""
    rows = [{"tenant_id": tenant_id, "user_id": user_id, "hash": digest} for digest in digests]
    await conn.execute(insert(recovery_codes).inline(), rows)


async def use(conn: AsyncConnection, tenant_id: UUID, user_id: UUID, digest: bytes) -> bool:
    """Use a recovery code; tell whether there was such a one that nobody had used."""
    row = await conn.execute(
        update(recovery_codes)
        .where(
            recovery_codes.c.tenant_id == tenant_id,
            recovery_codes.c.user_id == user_id,
            recovery_codes.c.hash == digest,
            recovery_codes.c.used_at.is_(None),
        )
        .values(used_at=func.clock_timestamp())
        .returning(recovery_codes.c.hash)
    )
    return row.one_or_none() is not None


async def remove(conn: AsyncConnection, tenant_id: UUID, user_id: UUID) -> None:
    """Remove all recovery codes of a user."""
    await conn.execute(
        delete(recovery_codes).where(
            recovery_codes.c.tenant_id == tenant_id, recovery_codes.c.user_id == user_id
        )
    )
