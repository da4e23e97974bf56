"""Counts what a server of PostgreSQL runs, as it counts itself: by pg_stat_statements."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg

TUNING: Final = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "top",
}
"""For the server; what a client sends is counted, BEGIN and COMMIT as well."""

TRIES: Final = 3


class Statements:
    """Counts the statements of everybody but the one that counts."""

    def __init__(self, admin: asyncpg.Connection) -> None:
        self._admin = admin

    async def prepare(self) -> None:
        """Begin to count."""
        await self._admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    async def of(self, call: Callable[[], Awaitable[Any]]) -> dict[str, int]:
        """Return how often each statement runs in a call, the fewest of some tries.

        The first one of all may find caches cold, and what runs by the clock may come in between.
        """
        found = []
        for _ in range(TRIES):
            await self._admin.execute("SELECT pg_stat_statements_reset()")
            await call()
            rows = await self._admin.fetch(
                "SELECT queryid, left(min(query), 40) AS begins, sum(calls)::int AS calls"
                " FROM pg_stat_statements WHERE userid <> current_user::regrole GROUP BY queryid"
            )
            found.append({f"{row['begins']} ({row['queryid']})": row["calls"] for row in rows})
        return min(found, key=lambda one: sum(one.values()))
