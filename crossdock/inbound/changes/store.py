"""Reading the feed of changed tenants."""

from typing import Final
from uuid import UUID

import asyncpg

NOTHING_YET: Final = 2**63 - 1
"""A position before which nothing need be told."""

FEED_S: Final = 1800.0
"""Whoever has not asked for this long must think that all has changed: twice as much is kept."""

_SINCE: Final = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    ARRAY(SELECT DISTINCT tenant_id FROM crossdock.route_changes WHERE position >= $1)
"""


async def since(conn: asyncpg.Connection, position: int) -> tuple[int, list[UUID]]:
    """Return who changed from a transaction on, and the one up to which all is known.

    Transactions below the position returned have all finished, and this statement sees them.

    Args:
        conn: a transaction.
        position: that up to which all was known before.
    """
    row = await conn.fetchrow(_SINCE, position)
    return row[0], row[1]
