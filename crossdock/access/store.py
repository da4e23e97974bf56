"""Statements on API keys, each inside one tenant's transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import RowMapping, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.access.model import ApiKey, StoredKey
from crossdock.access.rules import LAST_USED_GRAIN
from crossdock.access.tables import api_keys
from crossdock.db.pages import newest_first
from crossdock.identity.tables import users
from crossdock.paging import Window
from crossdock.tenancy.tables import tenants

Connection: TypeAlias = AsyncConnection
"""A connection inside a tenant, for callers who only pass it on."""

_SHOWN = (
    api_keys.c.tenant_id,
    api_keys.c.id,
    api_keys.c.name,
    api_keys.c.permissions,
    api_keys.c.created_at,
    api_keys.c.expires_at,
    api_keys.c.last_used_at,
    api_keys.c.revoked_at,
    api_keys.c.created_by,
    api_keys.c.rotated_to,
    api_keys.c.requests_per_minute,
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
            created_by=key.created_by,
            requests_per_minute=key.requests_per_minute,
        )
    )


async def page(conn: AsyncConnection, tenant_id: UUID, window: Window) -> Sequence[ApiKey]:
    """Return keys, newest first, revoked ones included."""
    query = select(*_SHOWN).where(api_keys.c.tenant_id == tenant_id)
    rows = await conn.execute(newest_first(query, api_keys.c.id, window))
    return [_key(row) for row in rows.mappings()]


async def get(
    conn: AsyncConnection, tenant_id: UUID, key_id: UUID, *, lock: bool = False
) -> ApiKey | None:
    """Return one key, on demand held against other writers."""
    query = select(*_SHOWN).where(api_keys.c.tenant_id == tenant_id, api_keys.c.id == key_id)
    query = query.with_for_update() if lock else query
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


async def replaced_by(conn: AsyncConnection, tenant_id: UUID, key_id: UUID) -> ApiKey | None:
    """Return the key whose place another took."""
    query = select(*_SHOWN).where(
        api_keys.c.tenant_id == tenant_id, api_keys.c.rotated_to == key_id
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else _key(row)


async def replace(
    conn: AsyncConnection, tenant_id: UUID, key_id: UUID, successor: UUID, ends_at: datetime
) -> None:
    """Name the key that takes another's place, and when the other ends."""
    await conn.execute(
        update(api_keys)
        .where(api_keys.c.tenant_id == tenant_id, api_keys.c.id == key_id)
        .values(rotated_to=successor, expires_at=ends_at)
    )


async def revoke_of_user(
    conn: AsyncConnection, tenant_id: UUID, user_id: UUID, now: datetime
) -> int:
    """End all keys that a user made; return how many had not ended before."""
    rows = await conn.execute(
        update(api_keys)
        .where(
            api_keys.c.tenant_id == tenant_id,
            api_keys.c.created_by == user_id,
            api_keys.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
        .returning(api_keys.c.id)
    )
    return len(rows.all())


async def roles_of_active(
    conn: AsyncConnection, tenant_id: UUID, user_id: UUID
) -> tuple[str, ...] | None:
    """Return the roles of a user, unless they are disabled or gone."""
    query = select(users.c.roles).where(
        users.c.tenant_id == tenant_id, users.c.id == user_id, users.c.state == "active"
    )
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else tuple(row.roles)


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
            api_keys.c.created_by,
            api_keys.c.requests_per_minute,
            tenants.c.state,
            users.c.roles.label("creator_roles"),
        )
        .join(tenants, tenants.c.id == api_keys.c.tenant_id)
        .outerjoin(
            users,
            and_(
                users.c.tenant_id == api_keys.c.tenant_id,
                users.c.id == api_keys.c.created_by,
                users.c.state == "active",
            ),
        )
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
        created_by=row.created_by,
        creator_roles=None if row.creator_roles is None else tuple(row.creator_roles),
        requests_per_minute=row.requests_per_minute,
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
