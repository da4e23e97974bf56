"""Statements on mails: posting one inside a tenant, and a sender's duty over those of a shard."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.mail.model import Due
from crossdock.mail.tables import mails

Connection: TypeAlias = AsyncConnection
"""A connection inside a tenant, for callers who only pass it on."""

RawConnection: TypeAlias = asyncpg.Connection
"""A connection of a duty, likewise."""


async def add(conn: AsyncConnection, tenant_id: UUID, mail_id: UUID, sealed: bytes) -> None:
    """Insert a mail that is due at once, inside the tenant."""
    row = {"tenant_id": tenant_id, "id": mail_id, "sealed": sealed}
    # Inline: the app role posts letters and has no right to read them.
    await conn.execute(insert(mails).inline().values(row))


async def add_raw(conn: asyncpg.Connection, tenant_id: UUID, mail_id: UUID, sealed: bytes) -> None:
    """Insert a mail that is due at once, on a connection of a duty."""
    await conn.execute(
        "INSERT INTO crossdock.mails (tenant_id, id, sealed) VALUES ($1, $2, $3)",
        tenant_id,
        mail_id,
        sealed,
    )


async def claim(conn: asyncpg.Connection, limit: int, lease_s: float) -> list[Due]:
    """Take mails that are due and that no other sender has; until the lease ends, nobody else can.

    Materialized: the planner must not run a sub-select that locks rows more than once.
    """
    rows = await conn.fetch(
        """
        WITH due AS MATERIALIZED (
            SELECT tenant_id, id FROM crossdock.mails
            WHERE state = 'waiting' AND due_at <= now()
            ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
        )
        UPDATE crossdock.mails AS mail
        SET attempts = mail.attempts + 1, due_at = now() + make_interval(secs => $2)
        FROM due WHERE mail.tenant_id = due.tenant_id AND mail.id = due.id
        RETURNING mail.tenant_id, mail.id, mail.sealed, mail.attempts, mail.created_at
        """,
        limit,
        lease_s,
    )
    return [Due(*row) for row in rows]


async def mark_sent(conn: asyncpg.Connection, mail: Due) -> None:
    """Note that a mail was sent, whoever sent it, and wipe its body."""
    await conn.execute(
        "UPDATE crossdock.mails"
        " SET state = 'sent', sealed = NULL, sent_at = now(), last_error = NULL"
        " WHERE tenant_id = $1 AND id = $2 AND state <> 'sent'",
        mail.tenant_id,
        mail.id,
    )


async def mark_waiting(
    conn: asyncpg.Connection, mail: Due, *, due_at: datetime, reason: str
) -> None:
    """Note why a mail was not sent, and when to try again, unless it was claimed anew since."""
    await conn.execute(
        "UPDATE crossdock.mails SET due_at = $4, last_error = $5"
        " WHERE tenant_id = $1 AND id = $2 AND state = 'waiting' AND attempts = $3",
        mail.tenant_id,
        mail.id,
        mail.attempts,
        due_at,
        reason,
    )


async def mark_failed(conn: asyncpg.Connection, mail: Due, *, reason: str) -> None:
    """Give a mail up, and wipe its body, unless it was claimed anew since."""
    await conn.execute(
        "UPDATE crossdock.mails SET state = 'failed', sealed = NULL, last_error = $4"
        " WHERE tenant_id = $1 AND id = $2 AND state = 'waiting' AND attempts = $3",
        mail.tenant_id,
        mail.id,
        mail.attempts,
        reason,
    )


async def release(conn: asyncpg.Connection, mails: Sequence[Due]) -> None:
    """Give claimed mails back at once, for another sender to take."""
    await conn.execute(
        "UPDATE crossdock.mails AS mail SET due_at = now(), attempts = mail.attempts - 1"
        " FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS held (tenant_id, id, attempts)"
        " WHERE mail.tenant_id = held.tenant_id AND mail.id = held.id"
        " AND mail.state = 'waiting' AND mail.attempts = held.attempts",
        [mail.tenant_id for mail in mails],
        [mail.id for mail in mails],
        [mail.attempts for mail in mails],
    )


async def forget(conn: asyncpg.Connection, *, days: int) -> None:
    """Remove what was sent or given up so many days ago."""
    await conn.execute(
        "DELETE FROM crossdock.mails"
        " WHERE state <> 'waiting' AND created_at < now() - make_interval(days => $1)",
        days,
    )
