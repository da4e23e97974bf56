"""Statements on users as those see them who look after people, and on where they sign in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, RowMapping, delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.access.users.model import NewUser, User
from crossdock.db.pages import newest_first
from crossdock.identity.tables import users
from crossdock.paging import Window

ControlConnection: TypeAlias = asyncpg.Connection
"""A connection to the control database, for callers who only pass it on."""

_SHOWN: tuple[ColumnElement[Any], ...] = (
    users.c.tenant_id,
    users.c.id,
    users.c.email,
    users.c.name,
    users.c.state,
    users.c.roles,
    users.c.totp_confirmed_at.is_not(None).label("has_second_factor"),
    users.c.version,
    users.c.created_at,
    users.c.updated_at,
    users.c.last_login_at,
)


async def page(conn: AsyncConnection, tenant_id: UUID, window: Window) -> Sequence[User]:
    """Return users, newest first."""
    query = select(*_SHOWN).where(users.c.tenant_id == tenant_id)
    rows = await conn.execute(newest_first(query, users.c.id, window))
    return [_user(row) for row in rows.mappings()]


async def get(
    conn: AsyncConnection, tenant_id: UUID, user_id: UUID, *, lock: bool = False
) -> User | None:
    """Return one user, on demand held against everybody who would change it or sign in as it."""
    query = select(*_SHOWN).where(users.c.tenant_id == tenant_id, users.c.id == user_id)
    query = query.with_for_update(key_share=True) if lock else query
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else _user(row)


async def is_known(conn: AsyncConnection, tenant_id: UUID, email: str) -> bool:
    """Tell whether a normalised address is a user's."""
    query = select(exists().where(users.c.tenant_id == tenant_id, users.c.email == email))
    return bool((await conn.execute(query)).scalar_one())


async def has_other_active(
    conn: AsyncConnection, tenant_id: UUID, role: str, user_id: UUID
) -> bool:
    """Tell whether somebody else who is active has a role."""
    query = select(
        exists().where(
            users.c.tenant_id == tenant_id,
            users.c.roles.contains([role]),
            users.c.state == "active",
            users.c.id != user_id,
        )
    )
    return bool((await conn.execute(query)).scalar_one())


async def add(conn: AsyncConnection, user: NewUser, now: datetime) -> None:
    """Insert a user; the lock on rights keeps the address free until then."""
    await conn.execute(
        insert(users).values(
            tenant_id=user.tenant_id,
            id=user.id,
            email=user.email,
            name=user.name,
            password_hash=user.password_hash,
            roles=list(user.roles),
            created_at=now,
            updated_at=now,
        )
    )


async def save(conn: AsyncConnection, user: User) -> None:
    """Write what can change of a user."""
    await conn.execute(
        update(users)
        .where(users.c.tenant_id == user.tenant_id, users.c.id == user.id)
        .values(
            name=user.name,
            state=user.state,
            roles=list(user.roles),
            version=user.version,
            updated_at=user.updated_at,
        )
    )


async def remove(conn: AsyncConnection, tenant_id: UUID, user_id: UUID) -> None:
    """Delete a user, with sessions, recovery codes and resets."""
    await conn.execute(delete(users).where(users.c.tenant_id == tenant_id, users.c.id == user_id))


async def active_with_role(conn: asyncpg.Connection, tenant_id: UUID, role: str) -> Sequence[str]:
    """Return the addresses of active users who have a role, on an operator's connection."""
    rows = await conn.fetch(
        "SELECT email FROM crossdock.users"
        " WHERE tenant_id = $1 AND state = 'active' AND $2 = ANY (roles) ORDER BY id",
        tenant_id,
        role,
    )
    return [row["email"] for row in rows]


async def add_login(
    conn: asyncpg.Connection, tenant_id: UUID, user_id: UUID, email_hash: bytes
) -> None:
    """Note where an address may sign in; within a tenant it is one user's, the latest."""
    await conn.execute(
        "DELETE FROM crossdock.logins WHERE tenant_id = $1 AND email_hash = $2 AND user_id <> $3",
        tenant_id,
        email_hash,
        user_id,
    )
    await conn.execute(
        "INSERT INTO crossdock.logins (tenant_id, user_id, email_hash) VALUES ($1, $2, $3)"
        " ON CONFLICT (tenant_id, user_id) DO UPDATE SET email_hash = excluded.email_hash",
        tenant_id,
        user_id,
        email_hash,
    )


async def remove_login(conn: asyncpg.Connection, tenant_id: UUID, user_id: UUID) -> None:
    """Forget where a user signed in."""
    await conn.execute(
        "DELETE FROM crossdock.logins WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id
    )


def _user(row: RowMapping) -> User:
    return User(**{**row, "roles": tuple(row["roles"])})
