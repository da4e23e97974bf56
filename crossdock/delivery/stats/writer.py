"""Counts what came of attempts, and writes it down every two seconds.

Counting never holds up a delivery: it is memory only, and what can't be written now is written with
the next.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final, NoReturn

import structlog

from crossdock.db.database import Database
from crossdock.delivery.dispatch.store import Settled
from crossdock.delivery.stats import rules, store
from crossdock.delivery.stats.model import Counts
from crossdock.errors import DatabaseUnavailable

FLUSH_S: Final = 2.0
"""What a worker that is killed may not have written."""
BATCH: Final = 1000
"""Rows in one transaction."""

log = structlog.get_logger(__name__)


class _Count:
    """One destination's, within an hour."""

    __slots__ = ("dead", "delivered", "durations", "failed")

    def __init__(self) -> None:
        self.delivered = self.failed = self.dead = 0
        self.durations: list[int] = []

    def took(self, duration_ms: float) -> None:
        number = rules.bucket(duration_ms)
        self.durations += [0] * (number + 1 - len(self.durations))
        self.durations[number] += 1

    def frozen(self) -> Counts:
        return Counts(self.delivered, self.failed, self.dead, tuple(self.durations))


class Tally:
    """One for a recorder."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        """Count for a shard's database, opened with the role `dispatch`.

        Args:
            database: where it is written.
            clock: unix seconds.
        """
        self._database = database
        self._clock = clock
        self._counts: dict[store.Row, _Count] = {}
        self._writing = asyncio.Lock()

    def add(self, settled: Iterable[Settled]) -> None:
        """Count what is on record."""
        hour = rules.begin_of_hour(datetime.fromtimestamp(self._clock(), UTC))
        for one in settled:
            if one.attempt is None and one.state != "dead":
                continue
            key = (*one.key, hour)
            count = self._counts.get(key)
            if count is None:
                count = self._counts[key] = _Count()
            if one.state == "dead":
                count.dead += 1
            if one.attempt is not None:
                if one.state == "delivered":
                    count.delivered += 1
                elif one.state != "cancelled":  # which a transformation wanted, and nobody called
                    count.failed += 1
                if one.state != "cancelled":
                    count.took(one.attempt.duration_ms)

    async def run(self) -> NoReturn:
        """Write until cancelled; an outage is waited out."""
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                await self.flush()
            except DatabaseUnavailable:
                log.debug("counts_wait")
            except Exception:
                # Ours to mend: what was to be written is gone, and deliveries go on.
                log.exception("counts_broke")

    async def finish(self) -> None:
        """Write what was counted so far, if the database is there."""
        try:
            await self.flush()
        except DatabaseUnavailable as error:
            log.warning("counts_lost", reason=str(error))
        except Exception:
            # Ours to mend, and no reason to leave the rest of the shutdown undone.
            log.exception("counts_broke")

    async def flush(self) -> None:
        """Write what was counted so far.

        Raises:
            DatabaseUnavailable: the database is away; it is kept for the next time.
        """
        async with self._writing:
            counts, self._counts = self._counts, {}
            while counts:
                part = dict(sorted(counts.items())[:BATCH])
                try:
                    async with self._database.batch("dispatch", {key[0] for key in part}) as conn:
                        await store.add(conn, {key: one.frozen() for key, one in part.items()})
                except DatabaseUnavailable:
                    self._take_back(counts)
                    raise
                for key in part:
                    del counts[key]

    def _take_back(self, counts: dict[store.Row, _Count]) -> None:
        """Keep what was not written, together with what came meanwhile."""
        for key, one in counts.items():
            newer = self._counts.setdefault(key, one)
            if newer is not one:
                both = rules.add((one.frozen(), newer.frozen()))
                newer.delivered, newer.failed, newer.dead = both.delivered, both.failed, both.dead
                newer.durations = list(both.durations)
