"""Statements on signing keys, in the control database."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from crossdock.identity.keys.model import StoredKey
from crossdock.identity.keys.rules import NewKey

_LOCK: Final = 0x7369676E6B657973
"""Held while keys change, so that any number of processes may begin at once."""


async def lock(conn: asyncpg.Connection) -> datetime:
    """Wait until nobody else changes keys, for this transaction; return the database's time."""
    await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    return await now(conn)


async def now(conn: asyncpg.Connection) -> datetime:
    """Return the database's time."""
    moment: datetime = await conn.fetchval("SELECT clock_timestamp()")
    return moment


async def all_keys(conn: asyncpg.Connection) -> list[StoredKey]:
    """Return all keys, newest first, retired ones included."""
    rows = await conn.fetch(
        "SELECT id, algorithm, public, private_sealed, signs_from, ends_at, created_at"
        " FROM crossdock.signing_keys ORDER BY created_at DESC, id"
    )
    return [_key(row) for row in rows]


async def live_keys(conn: asyncpg.Connection) -> list[StoredKey]:
    """Return the keys that are not retired yet, newest first."""
    rows = await conn.fetch(
        "SELECT id, algorithm, public, private_sealed, signs_from, ends_at, created_at"
        " FROM crossdock.signing_keys"
        " WHERE private_sealed IS NOT NULL ORDER BY created_at DESC, id"
    )
    return [_key(row) for row in rows]


async def add(
    conn: asyncpg.Connection, key: NewKey, *, created_at: datetime, signs_from: datetime
) -> None:
    """Insert a key."""
    await conn.execute(
        "INSERT INTO crossdock.signing_keys"
        " (id, algorithm, public, private_sealed, created_at, signs_from)"
        " VALUES ($1, $2, $3::jsonb, $4, $5, $6)",
        key.kid,
        key.algorithm,
        msgspec.json.encode(key.public).decode(),
        key.private_sealed,
        created_at,
        signs_from,
    )


async def end(conn: asyncpg.Connection, endings: Mapping[str, datetime]) -> None:
    """Write when keys end."""
    await conn.execute(
        "UPDATE crossdock.signing_keys AS k SET ends_at = e.ends_at"
        " FROM unnest($1::text[], $2::timestamptz[]) AS e (id, ends_at) WHERE k.id = e.id",
        list(endings),
        list(endings.values()),
    )


async def retire(conn: asyncpg.Connection) -> int:
    """Forget the private parts of keys that are over; return how many there were."""
    done: str = await conn.execute(
        "UPDATE crossdock.signing_keys SET private_sealed = NULL"
        " WHERE private_sealed IS NOT NULL AND ends_at <= clock_timestamp()"
    )
    return int(done.rpartition(" ")[2])


def _key(row: asyncpg.Record) -> StoredKey:
    return StoredKey(**{**row, "public": msgspec.json.decode(row["public"])})
