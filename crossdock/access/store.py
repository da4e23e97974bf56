"""Statements on API keys, each inside one tenant's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.access.model import ApiKey, StoredKey
from crossdock.access.rules import LAST_USED_GRAIN
from crossdock.access.tables import api_keys
from crossdock.paging import Window
from crossdock.tenancy.tables import tenants

_SHOWN = (
    api_keys.c.tenant_id,
    api_keys.c.id,
    api_keys.c.name,
    api_keys.c.permissions,
    api_keys.c.created_at,
    api_keys.c.expires_at,
    api_keys.c.last_used_at,
    api_keys.c.revoked_at,
)


async def add(conn: AsyncConnection, key: ApiKey, secret_hash: bytes) -> None:
    """Insert a key."""
    await conn.execute(
        insert(api_keys).values(
            tenant_id=key.tenant_id,
            id=key.id,
            name=key.name,
            secret_hash=secret_hash,
            permissions=list(key.permissions),
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
    )


async def page(conn: AsyncConnection, tenant_id: UUID, window: Window) -> Sequence[ApiKey]:
    """Return keys, newest first, revoked ones included."""
    query = select(*_SHOWN).where(api_keys.c.tenant_id == tenant_id)
    if window.after is not None:
        query = query.where(api_keys.c.id < window.after)
    rows = await conn.execute(query.order_by(api_keys.c.id.desc()).limit(window.fetch))
    return [_key(row) for row in rows.mappings()]


async def get(conn: AsyncConnection, tenant_id: UUID, key_id: UUID) -> ApiKey | None:
    """Return one key."""
    query = select(*_SHOWN).where(api_keys.c.tenant_id == tenant_id, api_keys.c.id == key_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else _key(row)


async def revoke(conn: AsyncConnection, tenant_id: UUID, key_id: UUID, now: datetime) -> bool:
    """End a key and tell whether it exists; the first moment of revocation stands."""
    statement = (
        update(api_keys)
        .where(api_keys.c.tenant_id == tenant_id, api_keys.c.id == key_id)
        .values(revoked_at=func.coalesce(api_keys.c.revoked_at, now))
        .returning(api_keys.c.id)
    )
    return (await conn.execute(statement)).one_or_none() is not None


async def for_verification(
    conn: AsyncConnection, tenant_id: UUID, key_id: UUID
) -> StoredKey | None:
    """Return what decides whether a key is good, with its tenant's state."""
    query = (
        select(
            api_keys.c.secret_hash,
            api_keys.c.permissions,
            api_keys.c.expires_at,
            api_keys.c.revoked_at,
            api_keys.c.last_used_at,
            tenants.c.state,
        )
        .join(tenants, tenants.c.id == api_keys.c.tenant_id)
        .where(api_keys.c.tenant_id == tenant_id, api_keys.c.id == key_id)
    )
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        return None
    return StoredKey(
        secret_hash=row.secret_hash,
        permissions=frozenset(row.permissions),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        tenant_state=row.state,
    )


async def touch(conn: AsyncConnection, tenant_id: UUID, key_id: UUID, now: datetime) -> None:
    """Record that a key was used, unless that was recorded a short while ago."""
    last = api_keys.c.last_used_at
    await conn.execute(
        update(api_keys)
        .where(
            and_(
                api_keys.c.tenant_id == tenant_id,
                api_keys.c.id == key_id,
                or_(last.is_(None), last < now - LAST_USED_GRAIN),
            )
        )
        .values(last_used_at=now)
    )


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(**{**row, "permissions": tuple(row["permissions"])})
