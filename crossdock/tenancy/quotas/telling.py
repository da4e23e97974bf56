"""Telling owners by mail what their tenant was alerted of.

Whoever raises an alert holds no key of letters, and must not wait for any: it leaves a note in its
transaction, and this turns notes into letters, each once.
"""

import asyncio
from typing import Final, NoReturn

import structlog

from crossdock.alerts.service import Alarm
from crossdock.db import Database
from crossdock.errors import Unavailable
from crossdock.tenancy.quotas import store

POLL_S: Final = 1.0
_AT_ONCE: Final = 50

log = structlog.get_logger(__name__)


class Teller:
    """Writes the letters of one shard. Any number of workers may, each note has one of them."""

    def __init__(self, database: Database, alarm: Alarm) -> None:
        self._database = database
        self._alarm = alarm

    async def run(self) -> NoReturn:
        """Work until cancelled; an outage is waited out."""
        while True:
            try:
                told = await self.work()
            except Unavailable as error:
                log.warning("alerts_wait", reason=str(error))
                told = 0
            if told < _AT_ONCE:
                await asyncio.sleep(POLL_S)

    async def work(self) -> int:
        """Write the letters of some alerts; return of how many.

        Raises:
            DatabaseUnavailable: the database is away.
        """
        async with self._database.maintenance() as conn:
            claimed = await store.claim_tellings(conn, _AT_ONCE)
            for alert in claimed:
                await self._alarm.tell_raw(conn, alert)
        return len(claimed)
