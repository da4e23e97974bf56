"""Removes from INGEST what is done with, many messages at once.

A work queue would remove each message as it is acknowledged, and a broker that syncs always
(`sync_interval: always`) then writes a tombstone to the disk for each of them, apart: at 2,000
events a second that is 2,000 syncs, which publishers and PostgreSQL wait behind. Here one purge
takes all that a shard's consumer has finished with, a few times a second
(docs/decisions/0055-ingest-is-purged.md).
"""

import asyncio
from typing import Final

import structlog

from crossdock.bus.connection import Bus, as_unavailable
from crossdock.errors import BrokerUnavailable
from proto import subjects

EVERY_S: Final = 0.25
"""How long what is done with rests; so also how long the broker has to learn of acknowledgements
before it is asked how far they go."""

log = structlog.get_logger(__name__)


class Clearing:
    """Keeps a shard's part of INGEST to what is not done with."""

    def __init__(self, bus: Bus, shard: int) -> None:
        """Say where.

        Args:
            bus: the connection.
            shard: whose messages; its consumer exists already.
        """
        self._jetstream = bus.jetstream()
        self._consumer = subjects.persist_consumer(shard)
        self._subject = subjects.ingest(shard)
        self._cleared = 0
        self._is_due = asyncio.Event()
        self._is_due.set()  # a process that crashed may have left something

    def done(self) -> None:
        """Say that messages were acknowledged or ended."""
        self._is_due.set()

    async def run(self) -> None:
        """Clear for ever, whenever something was done with."""
        is_away = False
        while True:
            await self._is_due.wait()
            await asyncio.sleep(EVERY_S)
            self._is_due.clear()
            try:
                await self.clear()
                is_away = False
            except BrokerUnavailable as error:
                # No harm at once: the ledger knows what stays. But INGEST may fill up by it.
                if not is_away:
                    log.warning("clearing_waits", reason=str(error))
                is_away = True
                self._is_due.set()

    async def clear(self) -> None:
        """Remove all up to the first message of the shard that somebody may still need.

        Raises:
            BrokerUnavailable: the broker is away.
        """
        with as_unavailable():
            found = await self._jetstream.consumer_info(subjects.INGEST_STREAM, self._consumer)
            floor = found.ack_floor.stream_seq if found.ack_floor else 0
            if floor <= self._cleared:
                return
            await self._jetstream.purge_stream(
                subjects.INGEST_STREAM, subject=self._subject, seq=floor + 1
            )
        self._cleared = floor
