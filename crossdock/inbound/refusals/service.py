"""Writes refusals down now and then, and reads them for those whose sources refused."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn
from uuid import UUID

import structlog

from crossdock.db import Databases
from crossdock.errors import DatabaseUnavailable, NotFound
from crossdock.inbound.refusals import store
from crossdock.inbound.refusals.model import Refusal, RefusalCount
from crossdock.inbound.refusals.recorder import Noted, Recorder
from crossdock.paging import Slice, Window

FLUSH_S: Final = 2.0
TIMEOUT_S: Final = 5.0
"""For one tenant's; a database that is slower gets them later."""
AT_ONCE: Final = 2
"""Connections that this may take from what serves people."""
MAX_DAYS: Final = 90

log = structlog.get_logger(__name__)


class Refusals:
    """Shows a tenant what its sources refused. Whether there is such a source is not asked here."""

    def __init__(
        self, database: Databases, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Say where; `database` has the role `app`."""
        self._database = database
        self._clock = clock

    async def page(self, tenant_id: UUID, source_id: UUID, window: Window) -> Slice[Refusal]:
        """Return a page of a source's refusals, newest first; no more than 50 are kept."""
        async with self._database.tenant(tenant_id) as conn:
            rows = await store.page(conn, tenant_id, source_id, window)
        return Slice.cut(rows, window)

    async def counts(self, tenant_id: UUID, source_id: UUID, days: int) -> list[RefusalCount]:
        """Return how many webhooks a source refused, by day and reason, newest day first.

        Args:
            tenant_id: Whose source.
            source_id: Which.
            days: How many, today included, in UTC; at most `MAX_DAYS`.
        """
        since = self._clock().date() - timedelta(days=min(days, MAX_DAYS) - 1)
        async with self._database.tenant(tenant_id) as conn:
            return await store.counts(conn, tenant_id, source_id, since)


class Writer:
    """Brings what a gateway process noted to the tenants' shards."""

    def __init__(
        self,
        recorder: Recorder,
        database: Databases,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Say from where to where; `database` has the role `app`."""
        self._recorder = recorder
        self._database = database
        self._clock = clock
        self._said_at = float("-inf")

    async def run(self) -> NoReturn:
        """Write every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits.

        What can't be written is tried again with the next flush, if there is room to keep it:
        whatever goes wrong, it is nobody's trouble. Numbers are added in a transaction of their
        tenant's: one that was committed without our hearing of it is added twice.
        """
        room = asyncio.Semaphore(AT_ONCE)
        waiting = self._recorder.take()
        await asyncio.gather(*(self._write(room, *one) for one in waiting.items()))

    async def _write(
        self, room: asyncio.Semaphore, tenant_id: UUID, sources: dict[UUID, Noted]
    ) -> None:
        tenant = self._database.tenant(tenant_id)
        try:
            async with room, asyncio.timeout(TIMEOUT_S), tenant as conn:
                for source_id, noted in sorted(sources.items()):
                    if noted.kept:
                        await store.add(conn, tenant_id, source_id, noted.kept)
                        await store.trim(conn, tenant_id, source_id)
                counts = {
                    (source_id, reason): number
                    for source_id, noted in sources.items()
                    for reason, number in noted.counts.items()
                }
                await store.count(conn, tenant_id, self._clock(), counts)
        except NotFound:
            pass  # the tenant is gone, and its refusals with it
        except (DatabaseUnavailable, TimeoutError) as error:
            self._recorder.give_back(tenant_id, sources)
            self._say(error)
        except asyncio.CancelledError:
            self._recorder.give_back(tenant_id, sources)
            raise
        except Exception:
            # These are worth less than what goes on beside them: they end here, not the gateway.
            log.exception("refusals_lost", tenant=str(tenant_id))

    def _say(self, error: Exception) -> None:
        """Log it, now and then."""
        now = time.monotonic()
        if now - self._said_at >= 60:  # noqa: PLR2004 - a minute
            self._said_at = now
            log.warning("refusals_wait", reason=str(error) or "timed out")
