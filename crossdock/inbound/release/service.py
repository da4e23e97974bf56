"""The worker that carries releases out."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, NoReturn
from uuid import UUID

import structlog

from crossdock.db import Database
from crossdock.errors import Unavailable
from crossdock.inbound.cloud_events import Announced
from crossdock.inbound.persist import store as persisting
from crossdock.inbound.persist.matching import MOST_TOLD, Routed
from crossdock.inbound.persist.model import Wanted
from crossdock.inbound.release import rules, store
from crossdock.inbound.release.model import Asked, Held, Ordered, Parcel
from crossdock.secrets.payloads import BatchKeys
from crossdock.telemetry.metrics import FILTER_ERRORS

BATCH: Final = 200
"""Events in one transaction, at most."""
BATCH_BYTES: Final = 4 * 1024 * 1024
"""Of their bodies, at most, unless one is larger by itself: what a batch holds in memory."""
POLL_S: Final = 1.0
SETTLED_S: Final = 10.0
"""How long a request for a source stays at least: far longer than settings take to arrive. What a
gateway holds after that, persisting lets go; see `crossdock.inbound.persist.service`."""

_TENANTS: Final = 50
"""Tenants that take turns, a batch each."""
_SOURCES: Final = 20
"""Of one tenant in one turn."""
_NOBODY: Final = UUID(int=0)
_MOST_REMEMBERED: Final = 10_000

Source = tuple[UUID, UUID]
"""Tenant and source."""

log = structlog.get_logger(__name__)


async def _unheard(_lines: Collection[Ordered]) -> None:
    """Do nothing: a sweep finds lines that wait for nothing."""


class Releaser:
    """Releases what one shard's tenants asked for. Any number of workers may."""

    def __init__(
        self,
        database: Database,
        announce: Callable[[Sequence[Announced]], Awaitable[None]],
        *,
        inline_bytes: int,
        keys: BatchKeys | None = None,
        on_ordered: Callable[[Collection[Ordered]], Awaitable[object]] = _unheard,
        batch: int = BATCH,
        batch_bytes: int = BATCH_BYTES,
        poll_s: float = POLL_S,
        settled_s: float = SETTLED_S,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Release in a database opened with the role `ingest`.

        Args:
            database: the shard's.
            announce: tells internal consumers, and returns once the broker has it.
            inline_bytes: of a body that is announced with its event, at most.
            keys: of the role `ingest`; they open sealed payloads for filters that look at them.
            on_ordered: told of lines that got deliveries, once those are committed.
            batch: events in one transaction, at most.
            batch_bytes: of their bodies, about.
            poll_s: how late, at most, an idle one begins.
            settled_s: how long a request for a source stays, that stragglers go, too.
            random: returns so many random bytes.
        """
        self._database = database
        self._announce = announce
        self._inline_bytes = inline_bytes
        self._keys = keys
        self._on_ordered = on_ordered
        self._batch = batch
        self._batch_bytes = batch_bytes
        self._poll_s = poll_s
        self._settled_s = settled_s
        self._random = random
        self._after = _NOBODY
        """The tenant whose turn was last, where there were more than one round takes."""
        self._reached: dict[Source, UUID] = {}
        """Of each source under way, the last event that was let go: what another source of its
        tenant holds lies in between, and need not be read again for each batch."""
        self._marks: dict[Source, tuple[frozenset[UUID], int]] = {}
        """Of each source the requests there are, and the number that no transaction had reached
        when the last of them was seen. Those below it may have read that the source was paused, and
        store what it holds until they end."""

    async def run(self) -> NoReturn:
        """Work until cancelled; an outage is waited out, by turns: nothing is held meanwhile."""
        is_away = False
        while True:
            try:
                has_more = await self.work()
                is_away = False
            except Unavailable as error:
                if not is_away:
                    log.warning("releases_wait", reason=str(error))
                is_away, has_more = True, False
            if not has_more:
                await asyncio.sleep(self._poll_s)

    async def work(self) -> bool:
        """Do one batch for each of the next tenants; tell whether there is more to do at once.

        Raises:
            DatabaseUnavailable: the database is away; what was committed stays.
            BrokerUnavailable: the broker is; likewise.
        """
        async with self._database.batch("ingest", ()) as conn:
            tenants = await store.waiting(conn, self._after, _TENANTS)
        self._after = tenants[-1] if len(tenants) == _TENANTS else _NOBODY
        has_more = self._after != _NOBODY
        for tenant_id in tenants:
            try:
                has_more |= await self._release_some(tenant_id)
            except Unavailable:
                raise
            except Exception:
                # Ours to mend; it stays asked for, and must not hold up the other tenants.
                log.exception("release_broke", tenant=tenant_id)
        return has_more

    async def _release_some(self, tenant_id: UUID) -> bool:
        """Take one tenant's turn; tell whether there was anything."""
        is_busy = await self._release_events(tenant_id)
        async with self._database.batch("ingest", {tenant_id}) as conn:
            sources = await store.sources_asked(conn, tenant_id, _SOURCES)
        for source_id in sources:
            is_busy |= await self._release_source(tenant_id, source_id)
        return is_busy

    async def _release_events(self, tenant_id: UUID) -> bool:
        """Release some of the events that were asked for by themselves; tell whether there were."""
        async with self._database.batch("ingest", {tenant_id}) as conn:
            asked = await store.hold_events_asked(conn, tenant_id, self._batch)
            if not asked:
                return False
            wanted = [event_id for _, event_id in asked]
            held = await store.hold_releasing(conn, tenant_id, wanted)
            chosen, lines = await self._let_go(conn, tenant_id, held)
            left = {one.id for one in held} - set(chosen)
            await store.done(conn, tenant_id, [one for one, event in asked if event not in left])
        await self._tell(lines)
        return True

    async def _release_source(self, tenant_id: UUID, source_id: UUID) -> bool:
        """Release some of what a source held; tell whether there was anything."""
        name = (tenant_id, source_id)
        async with self._database.batch("ingest", {tenant_id}) as conn:
            asked = await store.hold_source_asked(conn, tenant_id, source_id, self._settled_s)
            if not asked:
                self._forget(name)
                return False
            if asked[0].is_paused:  # whoever resumes it asks again
                await store.done(conn, tenant_id, [one.id for one in asked])
                self._forget(name)
                return False
            is_over = await self._is_over(conn, name, asked)
            after = self._reached.get(name, _NOBODY)
            held = await store.hold_held(conn, tenant_id, source_id, after, self._batch)
            chosen: list[UUID] = []
            lines: set[Ordered] = set()
            if held:
                chosen, lines = await self._let_go(conn, tenant_id, held)
            elif after == _NOBODY and is_over:
                await store.done(conn, tenant_id, [one.id for one in asked if one.is_settled])
        await self._tell(lines)
        if chosen:
            self._remember(name, chosen[-1])
        else:  # once more from the beginning, for what came late
            self._reached.pop(name, None)
        return bool(held) or after != _NOBODY

    async def _let_go(
        self, conn: Any, tenant_id: UUID, held: Sequence[Held]
    ) -> tuple[list[UUID], set[Ordered]]:
        """Let as many of these events go as memory takes; return which, and the lines they join."""
        if not held:
            return [], set()
        chosen = rules.fitting(held, self._batch_bytes)
        routes = await persisting.routes(conn, [tenant_id], self._database.number)
        routed = Routed(routes.get(tenant_id, ()))
        parcels = await store.look(
            conn, tenant_id, chosen, self._inline_bytes, bodies=routed.looks_into_bodies
        )
        wanted = await self._matched(conn, parcels, routed)
        told = [
            (one.event_id, one.status, min(len(found), MOST_TOLD))
            for one, found in zip(parcels, wanted, strict=True)
        ]
        planned = rules.plan(parcels, wanted, self._random)
        if told:
            await store.release(conn, tenant_id, told)
        await store.add_deliveries(conn, tenant_id, planned)
        await self._announce([rules.announced(parcel) for parcel in parcels])
        return chosen, {
            Ordered(tenant_id, one.destination_id, one.line)
            for one in planned
            if one.line is not None
        }

    async def _matched(
        self, conn: Any, parcels: Sequence[Parcel], routed: Routed
    ) -> list[list[Wanted]]:
        """Say who wants each of one tenant's events; filters are judged in a thread."""
        keys = {}
        sealed = {
            (one.tenant_id, one.data_key)
            for one in parcels
            if one.data_key is not None and one.kept is not None
        }
        if self._keys is not None and sealed:
            await self._keys.load_within(conn, sealed)
            known = ((key_id, self._keys.known(tenant, key_id)) for tenant, key_id in sealed)
            keys = {key_id: key for key_id, key in known if key is not None}
        if routed.judges:
            wanted, errors = await asyncio.to_thread(rules.match, parcels, routed, keys)
            FILTER_ERRORS.inc(errors)
        else:
            wanted, _ = rules.match(parcels, routed, keys)
        return wanted

    async def _tell(self, lines: Collection[Ordered]) -> None:
        """Have lines looked at that got deliveries; what fails here is found by a sweep."""
        if lines:
            await self._on_ordered(lines)

    async def _is_over(self, conn: Any, name: Source, asked: Sequence[Asked]) -> bool:
        """Tell whether nobody is left who may yet store what the source held; see `_marks`."""
        ended, begun = await store.snapshot(conn)
        found = frozenset(one.id for one in asked)
        known, mark = self._marks.get(name, (found, begun))
        if not found <= known:
            mark = begun
        self._marks[name] = found, mark
        return ended >= mark

    def _remember(self, name: Source, event_id: UUID) -> None:
        if len(self._marks) >= _MOST_REMEMBERED:  # others finished those; begin anew with ours
            self._reached.clear()
            self._marks.clear()
        self._reached[name] = event_id

    def _forget(self, name: Source) -> None:
        self._reached.pop(name, None)
        self._marks.pop(name, None)
