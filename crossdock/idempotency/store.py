"""Statements on idempotency keys, on a connection inside the tenant of the claim.

They go to asyncpg itself: fixed statements, on the way of every request with a key.
"""

from datetime import timedelta
from typing import Final, TypeAlias

import asyncpg

from crossdock.idempotency.model import Claim, Found

RawConnection: TypeAlias = asyncpg.Connection
"""A connection inside a tenant, or of `maintenance`."""

KEPT: Final = timedelta(hours=24)
"""How long a key is known."""

_ADD: Final = """
    INSERT INTO crossdock.idempotency_keys AS k
        (tenant_id, digest, fingerprint, state, status, answer, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, now() + $7)
    ON CONFLICT (tenant_id, digest) DO UPDATE
    SET fingerprint = excluded.fingerprint, state = excluded.state, status = excluded.status,
        answer = excluded.answer, created_at = excluded.created_at,
        expires_at = excluded.expires_at
    WHERE k.expires_at <= now()
"""
"""Only one whose time is up can be there already: `claim` has looked, and the lock is held."""


async def claim(conn: RawConnection, wanted: Claim) -> Found:
    """Try to lock a key until this transaction ends, and return what is written of it."""
    row = await conn.fetchrow(
        "SELECT * FROM crossdock.claim_key($1, $2, $3)",
        wanted.tenant_id,
        wanted.digest,
        wanted.lock,
    )
    age: timedelta | None = row["age"]
    return Found(
        is_mine=row["claimed"],
        fingerprint=row["fingerprint"],
        state=row["state"],
        sealed=row["answer"],
        age_s=0.0 if age is None else age.total_seconds(),
    )


async def add_running(conn: RawConnection, claimed: Claim) -> None:
    """Write down that a request has begun."""
    await conn.execute(
        _ADD, claimed.tenant_id, claimed.digest, claimed.fingerprint, "running", None, None, KEPT
    )


async def add_done(conn: RawConnection, claimed: Claim, status: int, sealed: bytes) -> None:
    """Write down a request that nothing was written of, with its answer."""
    await conn.execute(
        _ADD,
        claimed.tenant_id,
        claimed.digest,
        claimed.fingerprint,
        "done",
        status,
        sealed,
        KEPT,
    )


async def finish(conn: RawConnection, claimed: Claim, status: int, sealed: bytes) -> None:
    """Write down the answer of a request that had begun."""
    await conn.execute(
        "UPDATE crossdock.idempotency_keys SET state = 'done', status = $4, answer = $5"
        " WHERE tenant_id = $1 AND digest = $2 AND fingerprint = $3 AND state = 'running'",
        claimed.tenant_id,
        claimed.digest,
        claimed.fingerprint,
        status,
        sealed,
    )


async def release(conn: RawConnection, claimed: Claim) -> None:
    """Forget a request that had begun and came to nothing."""
    await conn.execute(
        "DELETE FROM crossdock.idempotency_keys"
        " WHERE tenant_id = $1 AND digest = $2 AND fingerprint = $3 AND state = 'running'",
        claimed.tenant_id,
        claimed.digest,
        claimed.fingerprint,
    )


async def give_up(conn: RawConnection, claimed: Claim) -> None:
    """Write down that nobody knows what became of a request that had begun."""
    await conn.execute(
        "UPDATE crossdock.idempotency_keys SET state = 'unknown'"
        " WHERE tenant_id = $1 AND digest = $2 AND fingerprint = $3 AND state = 'running'",
        claimed.tenant_id,
        claimed.digest,
        claimed.fingerprint,
    )


async def expire(conn: RawConnection, limit: int) -> int:
    """Delete some keys of all tenants whose time is up; return how many there were.

    That their time is up is looked at twice: a key may be claimed anew between the two.
    """
    done: str = await conn.execute(
        "DELETE FROM crossdock.idempotency_keys WHERE (tenant_id, digest) IN ("
        "SELECT tenant_id, digest FROM crossdock.idempotency_keys"
        " WHERE expires_at <= now() ORDER BY expires_at LIMIT $1) AND expires_at <= now()",
        limit,
    )
    return int(done.rpartition(" ")[2])
