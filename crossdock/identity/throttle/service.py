"""Limits on tries, the same for all processes."""

import asyncio
from typing import Final, NoReturn

import structlog

from crossdock.db import Databases
from crossdock.errors import TooManyRequests, Unavailable
from crossdock.identity.throttle import rules, store
from crossdock.identity.throttle.rules import Limit

FORGET_EVERY_S: Final = 600.0

log = structlog.get_logger(__name__)


class Throttle:
    """Counts tries in the control database, each in a transaction of its own."""

    def __init__(self, database: Databases) -> None:
        self._database = database

    async def take(self, purpose: str, subject: str, limit: Limit) -> None:
        """Count one try.

        Args:
            purpose: what is tried, and by what it is counted, such as `login account`.
            subject: whose tries are counted together: an account, or `rules.address_of`.
            limit: how many there may be.

        Raises:
            TooManyRequests: there were too many; this one does not count.
            DatabaseUnavailable: the control database is away.
        """
        async with self._database.control() as conn:
            wait = await store.take(conn, rules.key_of(purpose, subject), limit)
        if wait is not None:
            raise TooManyRequests("Too many tries; wait a little.", retry_after_s=wait)

    async def clear(self, purpose: str, subject: str) -> None:
        """Forget a subject's tries, because one of them was right.

        Raises:
            DatabaseUnavailable: the control database is away.
        """
        async with self._database.control() as conn:
            await store.clear(conn, rules.key_of(purpose, subject))

    async def forget(self) -> int:
        """Delete what limits nothing any more; return how many rows there were.

        Raises:
            DatabaseUnavailable: the control database is away.
        """
        total = 0
        while True:
            async with self._database.control() as conn:
                deleted = await store.sweep(conn)
            total += deleted
            if deleted < store.SWEPT_AT_ONCE:
                return total

    async def run(self) -> NoReturn:
        """Forget every ten minutes."""
        while True:
            await asyncio.sleep(FORGET_EVERY_S)
            try:
                await self.forget()
            except Unavailable as error:
                log.warning("throttles_not_swept", reason=str(error))
