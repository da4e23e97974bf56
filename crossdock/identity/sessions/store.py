"""Statements on sessions and refresh tokens, each inside one tenant's transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import and_, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.access.tables import support_accesses
from crossdock.db.pages import newest_first
from crossdock.identity.sessions.model import EndReason, Locked, Session, Standing, Step
from crossdock.identity.tables import refresh_tokens, sessions, users
from crossdock.paging import Window
from crossdock.tenancy.tables import tenants

_SESSION = (
    sessions.c.tenant_id,
    sessions.c.id,
    sessions.c.user_id,
    sessions.c.created_at,
    sessions.c.last_used_at,
    sessions.c.idle_ends_at,
    sessions.c.ends_at,
    sessions.c.revoked_at,
    sessions.c.user_agent,
    sessions.c.address,
)


async def add(conn: AsyncConnection, session: Session) -> None:
    """Insert a session."""
    await conn.execute(insert(sessions).inline().values(**msgspec.structs.asdict(session)))


async def add_token(
    conn: AsyncConnection, session: Session, digest: bytes, parent: bytes | None, now: datetime
) -> None:
    """Insert the hash of a refresh token, the session's next."""
    await conn.execute(
        insert(refresh_tokens)
        .inline()
        .values(
            tenant_id=session.tenant_id,
            hash=digest,
            session_id=session.id,
            parent_hash=parent,
            created_at=now,
        )
    )


async def lock(conn: AsyncConnection, tenant_id: UUID, session_id: UUID) -> Locked | None:
    """Return a session, held against everybody who would go on with it or end it."""
    query = select(*_SESSION, func.clock_timestamp().label("at")).where(
        sessions.c.tenant_id == tenant_id, sessions.c.id == session_id
    )
    row = (await conn.execute(query.with_for_update())).mappings().one_or_none()
    if row is None:
        return None
    known = dict(row)
    return Locked(at=known.pop("at"), session=Session(**known))


async def claim(conn: AsyncConnection, session: Session, digest: bytes) -> datetime | None:
    """Use a refresh token that was not used before; return when, or `None` where that is not so."""
    row = await conn.execute(
        update(refresh_tokens)
        .where(
            refresh_tokens.c.tenant_id == session.tenant_id,
            refresh_tokens.c.hash == digest,
            refresh_tokens.c.session_id == session.id,
            refresh_tokens.c.used_at.is_(None),
        )
        .values(used_at=func.clock_timestamp())
        .returning(refresh_tokens.c.used_at)
    )
    used_at: datetime | None = row.scalar_one_or_none()
    return used_at


async def step(conn: AsyncConnection, session: Session, digest: bytes) -> Step | None:
    """Return what is known of a session's refresh token."""
    child = refresh_tokens.alias("child")
    successor_used = exists().where(
        child.c.tenant_id == refresh_tokens.c.tenant_id,
        child.c.session_id == refresh_tokens.c.session_id,
        child.c.parent_hash == refresh_tokens.c.hash,
        child.c.used_at.is_not(None),
    )
    query = select(refresh_tokens.c.used_at, successor_used).where(
        refresh_tokens.c.tenant_id == session.tenant_id,
        refresh_tokens.c.hash == digest,
        refresh_tokens.c.session_id == session.id,
    )
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Step(*row)


async def go_on(
    conn: AsyncConnection, session: Session, now: datetime, idle_ends_at: datetime
) -> None:
    """Note that a session was gone on with."""
    await conn.execute(
        update(sessions)
        .where(sessions.c.tenant_id == session.tenant_id, sessions.c.id == session.id)
        .values(last_used_at=now, idle_ends_at=idle_ends_at)
    )


async def page(
    conn: AsyncConnection, tenant_id: UUID, user_id: UUID, window: Window
) -> Sequence[Session]:
    """Return a user's live sessions, newest first."""
    query = select(*_SESSION).where(
        sessions.c.tenant_id == tenant_id,
        sessions.c.user_id == user_id,
        sessions.c.revoked_at.is_(None),
        func.least(sessions.c.idle_ends_at, sessions.c.ends_at) > func.now(),
    )
    rows = await conn.execute(newest_first(query, sessions.c.id, window))
    return [Session(**row) for row in rows.mappings()]


async def end(conn: AsyncConnection, tenant_id: UUID, session_id: UUID, reason: EndReason) -> bool:
    """End a session; tell whether it had not ended before."""
    row = await conn.execute(
        update(sessions)
        .where(
            sessions.c.tenant_id == tenant_id,
            sessions.c.id == session_id,
            sessions.c.revoked_at.is_(None),
        )
        .values(revoked_at=func.clock_timestamp(), revoked_reason=reason)
        .returning(sessions.c.id)
    )
    return row.one_or_none() is not None


async def end_all(conn: AsyncConnection, tenant_id: UUID, user_id: UUID, reason: EndReason) -> int:
    """End all sessions of a user; return how many had not ended before."""
    rows = await conn.execute(
        update(sessions)
        .where(
            sessions.c.tenant_id == tenant_id,
            sessions.c.user_id == user_id,
            sessions.c.revoked_at.is_(None),
        )
        .values(revoked_at=func.clock_timestamp(), revoked_reason=reason)
        .returning(sessions.c.id)
    )
    return len(rows.all())


async def goes_on(
    conn: AsyncConnection, tenant_id: UUID, user_id: UUID, session_id: UUID | None
) -> bool:
    """Tell whether a user's session has not been ended."""
    query = select(
        exists().where(
            sessions.c.tenant_id == tenant_id,
            sessions.c.id == session_id,
            sessions.c.user_id == user_id,
            sessions.c.revoked_at.is_(None),
        )
    )
    return bool((await conn.execute(query)).scalar_one())


async def standing(
    conn: AsyncConnection, tenant_id: UUID, user_id: UUID, session_id: UUID
) -> Standing | None:
    """Return what decides whether a user's token counts."""
    query = (
        select(
            tenants.c.state.label("tenant_state"),
            tenants.c.not_before.label("tenant_not_before"),
            users.c.state.label("user_state"),
            users.c.not_before.label("user_not_before"),
            sessions.c.user_id.label("session_user"),
            sessions.c.revoked_at.is_not(None).label("session_ended"),
        )
        .outerjoin(users, and_(users.c.tenant_id == tenants.c.id, users.c.id == user_id))
        .outerjoin(
            sessions, and_(sessions.c.tenant_id == tenants.c.id, sessions.c.id == session_id)
        )
        .where(tenants.c.id == tenant_id)
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else Standing(**row)


async def support_standing(
    conn: AsyncConnection, tenant_id: UUID, operator_id: UUID, support_id: UUID
) -> Standing | None:
    """Return what decides, inside the tenant, whether the token of a support access counts."""
    access = support_accesses
    ended = or_(access.c.ended_at.is_not(None), access.c.ends_at <= func.clock_timestamp())
    theirs = and_(
        access.c.tenant_id == tenants.c.id,
        access.c.id == support_id,
        access.c.operator_id == operator_id,
    )
    query = (
        select(
            tenants.c.state.label("tenant_state"),
            tenants.c.not_before.label("tenant_not_before"),
            access.c.operator_id.label("session_user"),
            ended.label("session_ended"),
        )
        .outerjoin(access, theirs)
        .where(tenants.c.id == tenant_id)
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    known = {**row, "user_state": None, "user_not_before": None}
    return Standing(**{**known, "session_ended": bool(row["session_ended"])})
