"""Statements on password resets, each inside one tenant's transaction."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.identity.tables import password_resets


async def add(
    conn: AsyncConnection, tenant_id: UUID, user_id: UUID, digest: bytes, life: timedelta
) -> datetime:
    """Insert the hash of a reset's token; return when it ends."""
    row = await conn.execute(
        insert(password_resets)
        .values(
            tenant_id=tenant_id,
            hash=digest,
            user_id=user_id,
            created_at=func.clock_timestamp(),
            expires_at=func.clock_timestamp() + life,
        )
        .returning(password_resets.c.expires_at)
    )
    ends: datetime = row.scalar_one()
    return ends


async def user_of(conn: AsyncConnection, tenant_id: UUID, digest: bytes) -> UUID | None:
    """Return whose reset this is, while it can be used."""
    found: UUID | None = (
        await conn.execute(
            select(password_resets.c.user_id).where(
                password_resets.c.tenant_id == tenant_id,
                password_resets.c.hash == digest,
                password_resets.c.used_at.is_(None),
                password_resets.c.expires_at > func.clock_timestamp(),
            )
        )
    ).scalar_one_or_none()
    return found


async def use(conn: AsyncConnection, tenant_id: UUID, user_id: UUID, digest: bytes) -> bool:
    """Use a reset; tell whether it could be used."""
    row = await conn.execute(
        update(password_resets)
        .where(
            password_resets.c.tenant_id == tenant_id,
            password_resets.c.hash == digest,
            password_resets.c.user_id == user_id,
            password_resets.c.used_at.is_(None),
            password_resets.c.expires_at > func.clock_timestamp(),
        )
        .values(used_at=func.clock_timestamp())
        .returning(password_resets.c.hash)
    )
    return row.one_or_none() is not None


async def use_all(conn: AsyncConnection, tenant_id: UUID, user_id: UUID) -> None:
    """Use up all resets of a user, so that none of them opens anything any more."""
    await conn.execute(
        update(password_resets)
        .where(
            password_resets.c.tenant_id == tenant_id,
            password_resets.c.user_id == user_id,
            password_resets.c.used_at.is_(None),
        )
        .values(used_at=func.clock_timestamp())
    )
