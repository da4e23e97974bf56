"""The duty: looks at the next destinations and sources every few seconds, and tells what is wrong.

What it raises and the letters about it are one transaction. Any number of workers may have the
duty: a round is one worker's, by a lock, and whoever comes second leaves it to the first.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NoReturn, Protocol, TypeVar
from uuid import UUID

import structlog

from crossdock import ids
from crossdock.alerts.model import OF_DESTINATIONS, OF_SOURCES, Alert, Watched
from crossdock.alerts.service import Alarm, RawConnection
from crossdock.alerts.watching import rules, store
from crossdock.alerts.watching.model import Place, Raise, Resolve
from crossdock.db import Database
from crossdock.errors import NotAnId, Unavailable

EVERY_S: Final = 10.0
AT_ONCE: Final = 500
"""Destinations, and sources, that a round looks at: of 10,000 each is seen every 200 seconds."""

_START: Final = UUID(int=0)

log = structlog.get_logger(__name__)


class _Seen(Protocol):
    @property
    def tenant_id(self) -> UUID:
        """Whose it is."""

    @property
    def id(self) -> UUID:
        """Its id."""


S = TypeVar("S", bound=_Seen)


class Watcher:
    """Watches the tenants of one shard; needs the role `maintenance`."""

    def __init__(
        self,
        database: Database,
        alarm: Alarm,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        at_once: int = AT_ONCE,
    ) -> None:
        """Say where.

        Args:
            database: the shard's.
            alarm: raises, and writes letters.
            clock: injected by tests.
            at_once: how many of each a round looks at.
        """
        self._database = database
        self._alarm = alarm
        self._clock = clock
        self._at_once = at_once
        self._destinations: Place = _START, _START
        self._sources: Place = _START, _START
        self._alerts = _START

    async def run(self) -> NoReturn:
        """Work until cancelled; an outage is waited out."""
        while True:
            try:
                await self.round()
            except Unavailable as error:
                log.warning("watching_waits", reason=str(error))
            await asyncio.sleep(EVERY_S * random.uniform(0.8, 1.0))  # noqa: S311

    async def round(self) -> bool:
        """Look at the next ones; tell whether it was this one's turn.

        Raises:
            DatabaseUnavailable: the database is away; nothing was raised.
        """
        async with self._database.maintenance() as conn:
            if not await store.take_turn(conn):
                return False
            now = self._clock().astimezone(UTC)
            places = (
                await self._look_at_destinations(conn, now),
                await self._look_at_sources(conn, now),
            )
            alerts = await self._look_for_orphans(conn, now)
        # Only now: what was not committed is looked at again.
        (self._destinations, self._sources), self._alerts = places, alerts
        return True

    async def _look_at_destinations(self, conn: RawConnection, now: datetime) -> Place:
        since = now - rules.WINDOW
        seen = await store.destinations(conn, self._destinations, self._at_once, since)
        latest = await _latest(conn, "dst", OF_DESTINATIONS, seen)
        for one in seen:
            known = latest.get((one.tenant_id, one.id), {})
            for verdict in rules.of_destination(one, known, now):
                await self._act(conn, verdict, now)
        return self._next(seen)

    async def _look_at_sources(self, conn: RawConnection, now: datetime) -> Place:
        seen = await store.sources(conn, self._sources, self._at_once, now)
        latest = await _latest(conn, "src", OF_SOURCES, seen)
        for one in seen:
            known = latest.get((one.tenant_id, one.id), {})
            for verdict in rules.of_source(one, known, now):
                await self._act(conn, verdict, now)
        return self._next(seen)

    async def _look_for_orphans(self, conn: RawConnection, now: datetime) -> UUID:
        """Resolve alerts about what was deleted."""
        kinds = OF_DESTINATIONS + OF_SOURCES
        found = await store.open_alerts(conn, kinds, self._alerts, self._at_once)
        subjects = {alert.id: (alert.tenant_id, _subject(alert)) for alert in found}
        living = await store.living(conn, list(subjects.values()))
        for alert in found:
            if subjects[alert.id] not in living:
                await self._act(conn, Resolve(alert, "deleted"), now)
        return found[-1].id if len(found) == self._at_once else _START

    def _next(self, seen: Sequence[_Seen]) -> Place:
        """Return after whom to go on; after the last one, from the beginning."""
        if len(seen) < self._at_once:
            return _START, _START
        return seen[-1].tenant_id, seen[-1].id

    async def _act(self, conn: RawConnection, verdict: rules.Verdict, now: datetime) -> None:
        if isinstance(verdict, Resolve):
            alert, because = verdict.alert, verdict.because
            if await store.resolve(conn, alert, because, now) and rules.is_well(because):
                await self._alarm.tell_passed(conn, alert, now)
            return
        is_new = await self._alarm.raise_once_raw(
            conn,
            verdict.tenant_id,
            kind=verdict.kind,
            subject=ids.encode("src" if verdict.kind in OF_SOURCES else "dst", verdict.subject),
            level=1,
            period=verdict.period,
            detail=verdict.detail | await _more(conn, verdict, now),
        )
        if is_new:
            log.info("alert_raised", tenant=str(verdict.tenant_id), kind=verdict.kind)


async def _more(conn: RawConnection, verdict: Raise, now: datetime) -> dict[str, object]:
    """Return what is only worth asking of something that is raised."""
    tenant, subject = verdict.tenant_id, verdict.subject
    if verdict.kind == "source_refusing":
        return {"reasons": await store.why_refused(conn, tenant, subject, now)}
    last = await store.last_of(conn, tenant, subject)
    found: dict[str, object] = {"last_status": last.status, "last_error": last.error}
    if verdict.kind == "dead_letters":
        since = now - rules.WINDOW
        found["reasons"] = await store.why_dead(conn, tenant, subject, since)
    return found


async def _latest(
    conn: RawConnection, prefix: ids.Kind, kinds: Sequence[Watched], seen: Iterable[_Seen]
) -> dict[Place, dict[str, Alert]]:
    """Return the newest alerts about what is looked at, by kind."""
    names = {(one.tenant_id, ids.encode(prefix, one.id)): (one.tenant_id, one.id) for one in seen}
    found: dict[Place, dict[str, Alert]] = {}
    for alert in await store.latest(conn, kinds, list(names)):
        place = names[alert.tenant_id, alert.subject]
        found.setdefault(place, {})[alert.kind] = alert
    return found


def _subject(alert: Alert) -> UUID:
    """Return the id of what an alert is about; of an odd one, that of nothing."""
    try:
        return ids.decode("src" if alert.kind in OF_SOURCES else "dst", alert.subject)
    except NotAnId:
        return _START
