"""Days that pass in seconds: a clock that jumps, and rows that grow older with it.

What is due, and when, is told by PostgreSQL's clock, which nobody can turn. So the rows are moved
instead: a jump of an hour makes every due time an hour earlier.
"""

import asyncio
import time
from typing import Final

from crossdock.db import Database
from tests.beds.delivery import until

LINGER: Final = 0.01
"""By how much of a wait a jump may go too far, so that what is due at nearly the same time is done
in one jump."""

STILL_S: Final = 0.15
"""How long nothing may be taken of what is due, until it is said to be left alone on purpose."""

_REST: Final = """
SELECT count(*) FILTER (WHERE lease IS NOT NULL), count(*) FILTER (WHERE due_at <= now())
FROM crossdock.deliveries WHERE state = 'pending'
"""
_NEXT: Final = """
SELECT extract(epoch FROM min(due_at) - now())::float8 FROM crossdock.deliveries
WHERE state = 'pending' AND due_at < 'infinity'
"""
_OLDER: Final = (
    """
    UPDATE crossdock.deliveries SET due_at = due_at - $1 * interval '1 second'
    WHERE state = 'pending' AND due_at < 'infinity'
    """,
    """
    UPDATE crossdock.destinations SET failing_since = failing_since - $1 * interval '1 second'
    WHERE failing_since IS NOT NULL
    """,
)


class Days:
    """A clock for a dispatcher, and the hand that turns it."""

    def __init__(self, database: Database, *, step_s: float = 0.0) -> None:
        """Take the database.

        Args:
            database: whose deliveries grow older.
            step_s: how far to jump while what is due is left alone, as behind a breaker; 0 if
                nothing may be.
        """
        self._database = database
        self._step_s = step_s
        self._began = time.time()
        self.ahead_s = 0.0

    def clock(self) -> float:
        """Return unix seconds, as they would be."""
        return time.time() + self.ahead_s

    def monotonic(self) -> float:
        """Return seconds that only grow, jumps included."""
        return time.monotonic() + self.ahead_s

    @property
    def passed_s(self) -> float:
        """How much time has passed since the beginning."""
        return self.clock() - self._began

    async def pass_until(self, end_s: float) -> int:
        """Let time pass until so much has; return how many jumps it took."""
        jumps = 0
        while True:
            await self._rest()
            wait = await self._next()
            if wait is None or self.passed_s + wait > end_s:
                await self._jump(max(0.0, end_s - self.passed_s))
                return jumps
            await self._jump(wait * (1 + LINGER) if wait > 0 else self._step_s)
            jumps += 1

    async def _rest(self) -> None:
        """Wait until nothing is under way, nor due, but for what is left alone."""
        moved_at = time.monotonic()

        async def at_rest() -> bool:
            nonlocal moved_at
            async with self._database.queue() as conn:
                leased, due = await conn.fetchrow(_REST)
            if leased:
                moved_at = time.monotonic()
            is_still = self._step_s and time.monotonic() - moved_at > STILL_S
            return not leased and (not due or bool(is_still))

        await until(at_rest, within_s=60)

    async def _next(self) -> float | None:
        async with self._database.queue() as conn:
            wait: float | None = await conn.fetchval(_NEXT)
        return wait

    async def _jump(self, seconds: float) -> None:
        async with self._database.queue() as conn:
            for statement in _OLDER:
                await conn.execute(statement, seconds)
        self.ahead_s += seconds
        await asyncio.sleep(0)
