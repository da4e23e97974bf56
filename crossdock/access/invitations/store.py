"""Statements on invitations, inside one tenant's transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from sqlalchemy import RowMapping, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.access.invitations.model import Invitation
from crossdock.access.tables import invitations
from crossdock.db.pages import newest_first
from crossdock.paging import Window

RawConnection: TypeAlias = asyncpg.Connection
"""A connection of `operator`, for callers who only pass it on."""

_SHOWN = tuple(column for column in invitations.c if column.name != "token_hash")


async def add(conn: AsyncConnection, invitation: Invitation, token_hash: bytes) -> None:
    """Insert an invitation."""
    await conn.execute(
        insert(invitations).values(
            tenant_id=invitation.tenant_id,
            id=invitation.id,
            email=invitation.email,
            roles=list(invitation.roles),
            invited_by=invitation.invited_by,
            token_hash=token_hash,
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
        )
    )


async def add_raw(conn: asyncpg.Connection, invitation: Invitation, token_hash: bytes) -> None:
    """Insert an invitation on an operator's connection."""
    await conn.execute(
        "INSERT INTO crossdock.invitations (tenant_id, id, email, roles, token_hash, created_at,"
        " expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        invitation.tenant_id,
        invitation.id,
        invitation.email,
        list(invitation.roles),
        token_hash,
        invitation.created_at,
        invitation.expires_at,
    )


async def page(conn: AsyncConnection, tenant_id: UUID, window: Window) -> Sequence[Invitation]:
    """Return invitations, newest first, ended ones included."""
    query = select(*_SHOWN).where(invitations.c.tenant_id == tenant_id)
    rows = await conn.execute(newest_first(query, invitations.c.id, window))
    return [_invitation(row) for row in rows.mappings()]


async def get(conn: AsyncConnection, tenant_id: UUID, invitation_id: UUID) -> Invitation | None:
    """Return one invitation."""
    query = select(*_SHOWN).where(
        invitations.c.tenant_id == tenant_id, invitations.c.id == invitation_id
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else _invitation(row)


async def lock(
    conn: AsyncConnection, tenant_id: UUID, invitation_id: UUID
) -> tuple[Invitation, bytes] | None:
    """Return an invitation and its token's hash, held against other writers."""
    query = select(*_SHOWN, invitations.c.token_hash).where(
        invitations.c.tenant_id == tenant_id, invitations.c.id == invitation_id
    )
    row = (await conn.execute(query.with_for_update())).mappings().one_or_none()
    if row is None:
        return None
    shown = {name: value for name, value in row.items() if name != "token_hash"}
    return _invitation(shown), row["token_hash"]


async def is_invited(conn: AsyncConnection, tenant_id: UUID, email: str, now: datetime) -> bool:
    """Tell whether an invitation of an address can still be accepted."""
    query = select(
        exists().where(
            invitations.c.tenant_id == tenant_id,
            invitations.c.email == email,
            invitations.c.accepted_at.is_(None),
            invitations.c.revoked_at.is_(None),
            invitations.c.expires_at > now,
        )
    )
    return bool((await conn.execute(query)).scalar_one())


async def accept(
    conn: AsyncConnection, tenant_id: UUID, invitation_id: UUID, now: datetime
) -> None:
    """Note that an invitation was accepted."""
    await _end(conn, tenant_id, invitation_id, accepted_at=now)


async def revoke(
    conn: AsyncConnection, tenant_id: UUID, invitation_id: UUID, now: datetime
) -> None:
    """Note that an invitation was taken back."""
    await _end(conn, tenant_id, invitation_id, revoked_at=now)


async def revoke_of_user(
    conn: AsyncConnection, tenant_id: UUID, user_id: UUID, now: datetime
) -> int:
    """Take back all open invitations that a user stands behind; return how many."""
    rows = await conn.execute(
        update(invitations)
        .where(
            invitations.c.tenant_id == tenant_id,
            invitations.c.invited_by == user_id,
            invitations.c.accepted_at.is_(None),
            invitations.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
        .returning(invitations.c.id)
    )
    return len(rows.all())


async def _end(
    conn: AsyncConnection, tenant_id: UUID, invitation_id: UUID, **moments: datetime
) -> None:
    await conn.execute(
        update(invitations)
        .where(invitations.c.tenant_id == tenant_id, invitations.c.id == invitation_id)
        .values(**moments)
    )


def _invitation(row: RowMapping | dict[str, Any]) -> Invitation:
    return Invitation(**{**row, "roles": tuple(row["roles"])})
