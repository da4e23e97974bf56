"""Statements on signups in the control database, and on the owner that one makes."""

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from crossdock.access.permissions import OWNER
from crossdock.tenancy.signup.model import Signup

RawConnection: TypeAlias = asyncpg.Connection
"""A connection of `control` or `operator`, for callers who only pass it on."""


async def add(conn: asyncpg.Connection, signup: Signup) -> None:
    """Insert a signup."""
    await conn.execute(
        "INSERT INTO crossdock.signups (tenant_id, user_id, email, name, tenant_name, slug,"
        " password_hash, token_hash, expires_at, created_at, verified_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        *msgspec.structs.astuple(signup),
    )


async def lock(conn: asyncpg.Connection, token_hash: bytes) -> Signup | None:
    """Return the signup of a token, held against others who have the same."""
    row = await conn.fetchrow(
        "SELECT tenant_id, user_id, email, name, tenant_name, slug, password_hash, token_hash,"
        " expires_at, created_at, verified_at"
        " FROM crossdock.signups WHERE token_hash = $1 FOR UPDATE",
        token_hash,
    )
    return None if row is None else Signup(**row)


async def rivalled(conn: asyncpg.Connection, token_hash: bytes, now: datetime) -> str | None:
    """Return the password's hash of a token's signup, if its address has other signups.

    Of those that were verified already, nothing is returned.
    """
    found: str | None = await conn.fetchval(
        "SELECT s.password_hash FROM crossdock.signups AS s"
        " WHERE s.token_hash = $1 AND s.verified_at IS NULL AND EXISTS"
        " (SELECT FROM crossdock.signups AS r WHERE r.email = s.email"
        " AND r.tenant_id <> s.tenant_id AND r.expires_at > $2)",
        token_hash,
        now,
    )
    return found


async def is_slug_taken(conn: asyncpg.Connection, slug: str) -> bool:
    """Tell whether a tenant has a slug."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM crossdock.placements WHERE slug = $1)", slug
    )
    return found


async def add_owner(conn: asyncpg.Connection, signup: Signup) -> None:
    """Insert the user who owns the tenant that was entered."""
    await conn.execute(
        "INSERT INTO crossdock.users (tenant_id, id, email, name, password_hash, roles)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        signup.tenant_id,
        signup.user_id,
        signup.email,
        signup.name,
        signup.password_hash,
        [OWNER],
    )


async def mark_verified(conn: asyncpg.Connection, tenant_id: UUID, now: datetime) -> bool:
    """Note when a signup was verified; tell whether this was the first time."""
    done: str = await conn.execute(
        "UPDATE crossdock.signups SET verified_at = $2"
        " WHERE tenant_id = $1 AND verified_at IS NULL",
        tenant_id,
        now,
    )
    return done.endswith(" 1")


async def forget(conn: asyncpg.Connection, before: datetime) -> int:
    """Remove signups that ended before a moment, and the places that one of them never filled.

    One that has a place and was never verified stays: its tenant may be there already.
    """
    done: str = await conn.execute(
        "DELETE FROM crossdock.signups AS s WHERE s.expires_at < $1 AND (s.verified_at IS NOT NULL"
        " OR NOT EXISTS (SELECT FROM crossdock.placements AS p WHERE p.tenant_id = s.tenant_id))",
        before,
    )
    return int(done.rpartition(" ")[2])


async def unfinished(conn: asyncpg.Connection, before: datetime) -> list[Signup]:
    """Return signups that have a place, were never finished, and whose letters no longer work."""
    rows = await conn.fetch(
        "SELECT s.tenant_id, s.user_id, s.email, s.name, s.tenant_name, s.slug, s.password_hash,"
        " s.token_hash, s.expires_at, s.created_at, s.verified_at FROM crossdock.signups AS s"
        " WHERE s.expires_at < $1 AND s.verified_at IS NULL AND EXISTS"
        " (SELECT FROM crossdock.placements AS p WHERE p.tenant_id = s.tenant_id)"
        " ORDER BY s.tenant_id LIMIT 100",
        before,
    )
    return [Signup(**row) for row in rows]
