"""What tenants are sent, counted by the workers that store it, and the end of a day's quota.

Counting is in memory and costs a look-up a webhook; once a second it is added to the day of each
tenant. So the counters are exact but for a worker that is killed, which loses what it counted in
its last second, and a flush whose outcome nobody learns, which is added again. What comes in past a
limit is bounded by that second, the second in which gateways learn of it, and what was accepted
before and waits to be stored.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final, NoReturn
from uuid import UUID

import structlog

from crossdock.alerts import store as alerts
from crossdock.db import Database
from crossdock.errors import Unavailable
from crossdock.outbox import store as outbox
from crossdock.tenancy import plans
from crossdock.tenancy.model import Day, Quota
from crossdock.tenancy.quotas import rules, store

FLUSH_S: Final = 1.0
KEPT_DAYS: Final = 400
"""How long the counters of a day are kept: a year can be compared with the one before."""
FORGET_S: Final = 6 * 3600.0

log = structlog.get_logger(__name__)


class Meter:
    """Counts what one shard's tenants are sent. Any number of workers may, each its own part."""

    def __init__(
        self,
        database: Database,
        *,
        retention_days: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Count for the tenants of a database opened with the role `maintenance`.

        Args:
            database: the shard's.
            retention_days: how long events are stored; older ones count for nothing.
            clock: injected by tests.
        """
        self._database = database
        self._retention = timedelta(days=retention_days)
        self._clock = clock
        self._events: dict[UUID, int] = {}
        self._bytes: dict[UUID, int] = {}
        self._earlier: dict[UUID, int] = {}
        """Events stored before today: a sum that stays the same until midnight."""
        self._judged: dict[UUID, dict[Quota, int]] = {}
        """The levels that tenants have reached today, as far as they were told of them."""
        self._earlier_of: date | None = None
        self._forget_at = 0.0

    def add(self, stored: Iterable[tuple[UUID, int]]) -> None:
        """Count events that were stored just now: of which tenant each is, and its body's size."""
        events, sizes = self._events, self._bytes
        for tenant_id, size in stored:
            events[tenant_id] = events.get(tenant_id, 0) + 1
            sizes[tenant_id] = sizes.get(tenant_id, 0) + size

    async def run(self) -> NoReturn:
        """Write down what was counted, every second until cancelled, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(FLUSH_S)
                await self._patiently()
        finally:
            await self._patiently()

    async def _patiently(self) -> None:
        try:
            await self.flush()
        except Unavailable as error:
            log.warning("usage_waits", tenants=len(self._events), reason=str(error))

    async def flush(self) -> None:
        """Add what was counted to the day, and hold it against what each tenant may have.

        Raises:
            DatabaseUnavailable: nothing was written; it is kept, and goes with the next flush.
        """
        now = self._clock()
        events, sizes = self._events, self._bytes
        if events:
            self._events, self._bytes = {}, {}
            try:
                await self._write(now, {one: (events[one], sizes[one]) for one in events})
            except BaseException:
                self._take_back(events, sizes)
                raise
        if now.timestamp() >= self._forget_at:
            self._forget_at = now.timestamp() + FORGET_S
            async with self._database.maintenance() as conn:
                await store.forget_days(conn, now.date() - timedelta(days=KEPT_DAYS))

    async def _write(self, now: datetime, counted: Mapping[UUID, tuple[int, int]]) -> None:
        today = now.astimezone(UTC).date()
        judged = {}
        async with self._database.maintenance() as conn:
            found = await store.add_usage(conn, today, counted)
            await self._learn(conn, today, [one.tenant_id for one in found])
            for one in found:
                stored = one.events + self._earlier.get(one.tenant_id, 0)
                day = Day(one.events, one.bytes, stored)
                levels = plans.levels(day, plans.limits_of(one.plan, one.quotas))
                if levels != self._judged.get(one.tenant_id, {}):
                    await _judge(conn, one.tenant_id, day, now)
                    judged[one.tenant_id] = levels
        self._judged |= judged

    async def _learn(
        self, conn: store.RawConnection, today: date, tenant_ids: Iterable[UUID]
    ) -> None:
        """Know what these tenants have stored of the days before."""
        if self._earlier_of != today:
            self._earlier_of, self._earlier, self._judged = today, {}, {}
        missing = [one for one in tenant_ids if one not in self._earlier]
        if missing:
            known = await store.earlier(conn, missing, today, today - self._retention)
            self._earlier |= {one: known.get(one, 0) for one in missing}

    def _take_back(self, events: Mapping[UUID, int], sizes: Mapping[UUID, int]) -> None:
        for tenant_id, count in events.items():
            self._events[tenant_id] = self._events.get(tenant_id, 0) + count
            self._bytes[tenant_id] = self._bytes.get(tenant_id, 0) + sizes[tenant_id]


async def _judge(conn: store.RawConnection, tenant_id: UUID, day: Day, now: datetime) -> None:
    """Tell a tenant how far its day is used up, and refuse the rest of it if it is.

    By what it may have now: an operator may have raised it since the counters were read.
    """
    held = await store.lock_for_block(conn, tenant_id)
    if held is None:
        return
    limits = plans.limits_of(held.plan, held.quotas)
    for quota, (used, limit) in plans.of_day(day, limits).items():
        alert = rules.alert(tenant_id, quota, used, limit, now)
        if alert is not None and await alerts.add_raw(conn, alert):
            await store.add_telling_raw(conn, alert)
    until = plans.next_day(now)
    if plans.is_used_up(day, limits) and held.blocked_until != until:
        await store.block(conn, tenant_id, until)
        await outbox.add_tenant(conn, tenant_id)
        log.info("tenant_blocked", tenant=tenant_id, until=until)
