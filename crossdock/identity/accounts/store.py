"""Statements on users: where they are, who they are, and what they sign in with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from sqlalchemy import Select, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.identity.accounts.model import Account, Place, Whereabouts
from crossdock.identity.tables import sessions, users
from crossdock.tenancy.tables import tenants

Connection: TypeAlias = AsyncConnection
"""A connection inside a tenant, for callers who only pass it on."""

ControlConnection: TypeAlias = asyncpg.Connection
"""A connection to the control database, likewise."""

_ACCOUNT = (
    users.c.tenant_id,
    users.c.id,
    users.c.email,
    users.c.state,
    users.c.roles,
    users.c.password_hash,
    users.c.totp_sealed,
    users.c.totp_confirmed_at,
    users.c.totp_step,
    tenants.c.slug.label("tenant_slug"),
    tenants.c.state.label("tenant_state"),
)


async def candidates(
    conn: asyncpg.Connection, email_hash: bytes, slug: str | None, limit: int
) -> Sequence[Whereabouts]:
    """Return where an e-mail address may sign in: in all tenants, or in that of a slug."""
    rows = await conn.fetch(
        "SELECT l.tenant_id, l.user_id FROM crossdock.logins AS l"
        " LEFT JOIN crossdock.placements AS p ON p.tenant_id = l.tenant_id"
        " WHERE l.email_hash = $1 AND ($2::text IS NULL OR p.slug = $2)"
        " ORDER BY l.tenant_id, l.user_id LIMIT $3",
        email_hash,
        slug,
        limit,
    )
    return [Whereabouts(*row) for row in rows]


async def now(conn: AsyncConnection) -> datetime:
    """Return this moment by the shard's clock, the one clock that sessions go by."""
    moment: datetime = (await conn.execute(select(func.clock_timestamp()))).scalar_one()
    return moment


async def find(conn: AsyncConnection, tenant_id: UUID, user_id: UUID) -> Account | None:
    """Return an account."""
    return await _one(conn, _accounts(tenant_id).where(users.c.id == user_id))


async def lock(conn: AsyncConnection, tenant_id: UUID, user_id: UUID) -> Account | None:
    """Return an account, held against everybody who would change it or go on in its sessions."""
    query = _accounts(tenant_id).where(users.c.id == user_id)
    return await _one(conn, query.with_for_update(of=users, key_share=True))


async def share_by_session(
    conn: AsyncConnection, tenant_id: UUID, session_id: UUID
) -> Account | None:
    """Return the account of a session, held against those who would change it."""
    query = _accounts(tenant_id).join(
        sessions,
        (sessions.c.tenant_id == users.c.tenant_id) & (sessions.c.user_id == users.c.id),
    )
    query = query.where(sessions.c.id == session_id)
    return await _one(conn, query.with_for_update(of=users, read=True))


async def place(conn: AsyncConnection, tenant_id: UUID, user_id: UUID | None) -> Place | None:
    """Return the slug of the tenant that was entered, and a user's address in it."""
    theirs = and_(users.c.tenant_id == tenants.c.id, users.c.id == user_id)
    query = select(tenants.c.slug, users.c.email).outerjoin(users, theirs)
    row = (await conn.execute(query.where(tenants.c.id == tenant_id))).one_or_none()
    return None if row is None else Place(*row)


async def note_login(conn: AsyncConnection, account: Account, password_hash: str) -> None:
    """Record that somebody signed in; their password may have been hashed anew."""
    now = func.clock_timestamp()
    await _change(conn, account, last_login_at=now, password_hash=password_hash)


async def set_password(conn: AsyncConnection, account: Account, password_hash: str) -> None:
    """Give a user another password."""
    await _change(conn, account, password_hash=password_hash, updated_at=func.clock_timestamp())


async def set_not_before(
    conn: AsyncConnection, tenant_id: UUID, user_id: UUID, now: datetime
) -> None:
    """End every access token that was made for a user before that moment."""
    await conn.execute(
        update(users)
        .where(users.c.tenant_id == tenant_id, users.c.id == user_id)
        .values(not_before=func.greatest(users.c.not_before, now))
    )


async def propose_factor(conn: AsyncConnection, account: Account, sealed: bytes) -> None:
    """Keep the seed of a second factor, which does not count yet."""
    await _change(conn, account, totp_sealed=sealed, totp_confirmed_at=None, totp_step=None)


async def confirm_factor(conn: AsyncConnection, account: Account, now: datetime, step: int) -> None:
    """Have the second factor count from now on."""
    await _change(conn, account, totp_confirmed_at=now, totp_step=step)


async def clear_factor(conn: AsyncConnection, account: Account) -> None:
    """Take the second factor away."""
    await _change(conn, account, totp_sealed=None, totp_confirmed_at=None, totp_step=None)


async def set_step(conn: AsyncConnection, account: Account, step: int) -> None:
    """Note the last step whose code was used, so that no code is used twice."""
    await _change(conn, account, totp_step=step)


def _accounts(tenant_id: UUID) -> Select[Any]:
    return (
        select(*_ACCOUNT)
        .join(tenants, tenants.c.id == users.c.tenant_id)
        .where(users.c.tenant_id == tenant_id)
    )


async def _one(conn: AsyncConnection, query: Select[Any]) -> Account | None:
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else Account(**{**row, "roles": tuple(row["roles"])})


async def _change(conn: AsyncConnection, account: Account, **values: Any) -> None:
    await conn.execute(
        update(users)
        .where(users.c.tenant_id == account.tenant_id, users.c.id == account.id)
        .values(**values)
    )
