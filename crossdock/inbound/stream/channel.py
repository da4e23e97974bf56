"""One tenant's feed in this process: heard once, sent to all of its listeners."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Final, NoReturn
from uuid import UUID

import structlog
from msgspec.structs import replace

from crossdock import context, ids
from crossdock.bus.connection import Bus, Hearing, Said
from crossdock.errors import Unavailable
from crossdock.inbound.events.service import Events
from crossdock.inbound.model import EventSummary
from crossdock.inbound.stream import reader, rules
from crossdock.inbound.stream.listener import Listener
from crossdock.inbound.stream.model import Heard, Item, Show, Wanted

MOST_HEARD: Final = 5_000
MOST_HEARD_BYTES: Final = 16 * 1024 * 1024
"""What may wait for its turn; beyond it the feed is let go, and what was missed is read."""
REMEMBERED: Final = 20_000
"""Events that are known to have been sent: what is read again is told from what is news."""
RETRY_S: Final = 0.5
AT_ONCE: Final = 50
"""So many listeners are served in a row; between them whoever else is served here has a turn."""

log = structlog.get_logger(__name__)


class Channel:
    """A tenant's listeners and what they share."""

    def __init__(
        self, tenant_id: UUID, bus: Bus, events: Events, show: Show, tick_s: Callable[[], float]
    ) -> None:
        """Say whose.

        Args:
            tenant_id: the tenant.
            bus: a connection whose messages nobody else waits for.
            events: reads what the feed does not say.
            show: see there.
            tick_s: returns for how many seconds to gather what is sent at once.
        """
        self.listeners: Final[set[Listener]] = set()
        self._tenant_id = tenant_id
        self._tenant = ids.encode("ten", tenant_id)
        self._bus = bus
        self._events = events
        self._show = show
        self._tick_s = tick_s
        self._heard: list[Heard] = []
        self._heard_bytes = 0
        self._known: OrderedDict[UUID, None] = OrderedDict()
        self._position = ids.new()
        """The newest event, or when this began to hear."""
        self._is_broken = False
        self._woken = asyncio.Event()
        self._hearing: Hearing | None = None
        self._work: asyncio.Task[NoReturn] | None = None

    async def open(self) -> None:
        """Begin to hear; on return nothing that is announced goes unheard.

        Raises:
            BrokerUnavailable: the broker is away.
        """
        try:
            self._hearing = await self._bus.overhear(rules.feed_of(self._tenant), self._hear)
            await self._bus.round_trip()
        except BaseException:
            await self.close()
            raise
        self._work = asyncio.create_task(self._run(), name="live events", context=Context())

    async def close(self) -> None:
        """Hear no more."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})
        if self._hearing is not None:
            await self._hearing.end()
            self._hearing = None

    def broke(self) -> None:
        """Take note that the feed was interrupted."""
        self._is_broken = True
        self._woken.set()

    def _hear(self, said: Said) -> None:
        if self._is_broken:
            return  # it is stored, and about to be read
        heard = rules.read(self._tenant, said)
        if heard is None or heard.event_id in self._known:
            return
        self._heard.append(heard)
        self._heard_bytes += len(heard.body)
        if len(self._heard) > MOST_HEARD or self._heard_bytes > MOST_HEARD_BYTES:
            self._forget_heard()
            self.broke()
        self._woken.set()

    def _forget_heard(self) -> None:
        self._heard, self._heard_bytes = [], 0

    async def _run(self) -> NoReturn:
        with context.bound(self._tenant_id):
            while True:
                await self._woken.wait()
                self._woken.clear()
                try:
                    await self._turn()
                except Unavailable as error:
                    log.info("live_events_wait", reason=str(error))
                    await self._rest()
                except Exception:
                    log.exception("live_events_broke")
                    self.broke()
                    await self._rest()
                await asyncio.sleep(self._tick_s())

    async def _rest(self) -> None:
        """Wait a moment before the next turn, which there will be."""
        await asyncio.sleep(RETRY_S)
        self._woken.set()

    async def _turn(self) -> None:
        """Send what was heard since the last turn, or read what was missed."""
        if self._is_broken:
            await self._refill()
            return
        count = len(self._heard)
        fresh = {one.event_id: one for one in self._heard if one.event_id not in self._known}
        items = await self._completed(list(fresh.values()))
        await self._send(items)
        del self._heard[:count]
        self._heard_bytes = sum(len(one.body) for one in self._heard)
        if self._heard:
            self._woken.set()

    async def _completed(self, heard: Sequence[Heard]) -> list[Item]:
        """Return what was heard with what must be read of it, in the same order."""
        lacking = [one.event_id for one in heard if one.summary is None]
        found: dict[UUID, Item] = {}
        if lacking:
            summaries = await self._events.summaries(self._tenant_id, lacking)
            async for part in reader.items(
                self._events, self._tenant_id, summaries, payloads=self._wants_payloads
            ):
                found |= {item.summary.id: item for item in part}
        told = [
            found.get(one.event_id) if one.summary is None else Item(one.summary, one.body)
            for one in heard
        ]
        for one, item in zip(heard, told, strict=True):
            if item is not None and item.summary.status != one.status:
                # A release is announced a moment before it is committed.
                item.summary = replace(item.summary, status=one.status)
        return [item for item in told if item is not None]

    async def _refill(self) -> None:
        """Read what may have been missed, and send what of it is news."""
        for listener in self.listeners:
            listener.offer(rules.GAP)
        await self._bus.round_trip()
        self._forget_heard()
        self._is_broken = False  # from here on the feed is heard again
        after = rules.behind(self._position)
        async for page in reader.pages(self._events, self._tenant_id, after):
            fresh = [one for one in page if one.id not in self._known]
            async for part in reader.items(
                self._events, self._tenant_id, fresh, payloads=self._wants_payloads
            ):
                await self._send(part)

    @property
    def _wants_payloads(self) -> bool:
        return any(listener.wanted.payloads for listener in self.listeners)

    async def _send(self, items: Sequence[Item]) -> None:
        """Send events to all listeners that want them; equal wishes are served with equal bytes."""
        if not items:
            return
        by_source: defaultdict[UUID, list[Item]] = defaultdict(list)
        for item in items:
            self._note(item.summary)
            by_source[item.summary.source_id].append(item)
        chunks: dict[Wanted, bytes] = {}
        for number, listener in enumerate(tuple(self.listeners), 1):
            wanted = listener.wanted
            made = chunks.get(wanted)
            if made is None:
                # One source's listeners need not look at all the others' events.
                own = items if wanted.source_id is None else by_source.get(wanted.source_id, ())
                made = chunks[wanted] = rules.chunk(wanted, own, self._show, self._position)
            if made:
                listener.offer(made)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _note(self, event: EventSummary) -> None:
        self._position = max(self._position, event.id)
        self._known[event.id] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
