"""Statements that remove what has ended, some rows at a time, so that no lock is held for long.

Steps of a living session stay, however old: only by them is a stolen refresh token known again.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

import asyncpg

Connection: TypeAlias = asyncpg.Connection
"""A connection in a transaction of `maintenance` or `control`."""

Duty: TypeAlias = Mapping[str, str]
"""Tables, and which of their rows are past all use."""

OF_TENANTS: Final[Duty] = {
    # Their refresh tokens go with them.
    "sessions": "least(ends_at, idle_ends_at, revoked_at) < now() - interval '7 days'",
    "password_resets": "expires_at < now() - interval '1 day'",
    "invitations": "least(expires_at, accepted_at, revoked_at) < now() - interval '30 days'",
}
"""On every shard, by `maintenance`. Ended invitations stay listed for a month."""

OF_CONTROL: Final[Duty] = {"signing_keys": "ends_at < now() - interval '90 days'"}
"""In the control database, by `control`. What a key signed has ended by then; the list of keys
shows it that long."""


async def forget(conn: Connection, table: str, past: str, limit: int) -> int:
    """Remove some rows that are past all use; return how many."""
    some = f"SELECT ctid FROM crossdock.{table} WHERE {past} LIMIT $1"  # noqa: S608 - constants
    query = f"DELETE FROM crossdock.{table} WHERE ctid = ANY (ARRAY({some}))"  # noqa: S608
    done: str = await conn.execute(query, limit)
    return int(done.removeprefix("DELETE "))
