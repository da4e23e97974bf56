"""All live streams of one process: how many there may be, and what they hear by."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Final, NoReturn
from uuid import UUID

from crossdock.bus.connection import Bus, connect
from crossdock.config import GatewaySettings, NatsSettings
from crossdock.errors import BrokerUnavailable, Busy, TooManyRequests
from crossdock.inbound.events.service import Events
from crossdock.inbound.stream import rules
from crossdock.inbound.stream.channel import Channel
from crossdock.inbound.stream.listener import Listener
from crossdock.inbound.stream.model import Show, Wanted

CONNECT_S: Final = 3.0
LOOK_S: Final = 0.1
"""How often it is looked whether the connection was lost."""
RETRY_AFTER_S: Final = 10.0


class Hub:
    """Gives listeners, each on its tenant's channel.

    It has a connection of its own, made when somebody first listens: a crowd of events must not
    delay what else a gateway hears, the settings above all.
    """

    def __init__(
        self, nats: NatsSettings, settings: GatewaySettings, events: Events, show: Show
    ) -> None:
        """Hear nothing yet.

        Args:
            nats: where the broker is.
            settings: how many may listen.
            events: reads what the feed does not say.
            show: see there.
        """
        self.events: Final = events
        self.show: Final = show
        self._nats = nats
        self._most = settings.streams
        self._most_of_tenant = settings.tenant_streams
        self._counts: Counter[UUID] = Counter()
        self._channels: dict[UUID, Channel] = {}
        self._turns: dict[UUID, asyncio.Lock] = {}
        self._bus: Bus | None = None
        self._connecting = asyncio.Lock()
        self._watching: asyncio.Task[NoReturn] | None = None
        self._is_draining = False

    @property
    def listening(self) -> int:
        """How many listen."""
        return self._counts.total()

    @property
    def channels(self) -> int:
        """For how many tenants something is heard."""
        return len(self._channels)

    @asynccontextmanager
    async def place(self, tenant_id: UUID) -> AsyncIterator[None]:
        """Keep a place for one more listener.

        Raises:
            Busy: as many listen as this process serves, or it is about to end.
            TooManyRequests: as many listen as one tenant may have here.
        """
        if self._is_draining or self._counts.total() >= self._most:
            raise Busy("No more can listen here at the moment.", retry_after_s=RETRY_AFTER_S)
        if self._counts[tenant_id] >= self._most_of_tenant:
            raise TooManyRequests(
                f"{self._most_of_tenant} listen for this tenant already.",
                retry_after_s=RETRY_AFTER_S,
            )
        self._counts[tenant_id] += 1
        try:
            yield
        finally:
            self._counts[tenant_id] -= 1
            if not self._counts[tenant_id]:
                del self._counts[tenant_id]
                self._turns.pop(tenant_id, None)

    @asynccontextmanager
    async def listen(self, tenant_id: UUID, wanted: Wanted) -> AsyncIterator[Listener]:
        """Hear a tenant's events from now on.

        Raises:
            BrokerUnavailable: the broker is away.
        """
        listener = Listener(wanted)
        async with self._turn(tenant_id):
            channel = self._channels.get(tenant_id) or await self._open(tenant_id)
            channel.listeners.add(listener)
        if self._is_draining:
            listener.end("drained")
        try:
            yield listener
        finally:
            channel.listeners.discard(listener)
            listener.close()
            await asyncio.shield(self._leave(tenant_id))

    def drain(self) -> None:
        """End all streams, and take no new ones: their readers go on elsewhere."""
        self._is_draining = True
        for channel in self._channels.values():
            for listener in channel.listeners:
                listener.end("drained")

    async def close(self) -> None:
        """End everything."""
        self.drain()
        for channel in list(self._channels.values()):
            await channel.close()
        self._channels.clear()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        if self._bus is not None:
            await self._bus.close()

    def _turn(self, tenant_id: UUID) -> asyncio.Lock:
        """Return what has a tenant's channel opened once, and not closed while it is."""
        return self._turns.setdefault(tenant_id, asyncio.Lock())

    async def _open(self, tenant_id: UUID) -> Channel:
        channel = Channel(tenant_id, await self._connected(), self.events, self.show, self._tick_s)
        await channel.open()
        self._channels[tenant_id] = channel
        return channel

    async def _leave(self, tenant_id: UUID) -> None:
        """Close a tenant's channel where nobody listens to it any more."""
        async with self._turn(tenant_id):
            channel = self._channels.get(tenant_id)
            if channel is None or channel.listeners:
                return
            del self._channels[tenant_id]
            await channel.close()

    async def _connected(self) -> Bus:
        async with self._connecting:
            if self._bus is None:
                # Whoever listens first, it is nobody's work in particular.
                named = connect(self._nats, name="crossdock gateway, live events", wait_s=CONNECT_S)
                self._bus = await asyncio.create_task(named, context=Context())
                self._watching = asyncio.create_task(
                    self._watch(self._bus), name="live events", context=Context()
                )
        if not self._bus.is_connected:
            raise BrokerUnavailable("The broker is away.")
        return self._bus

    async def _watch(self, bus: Bus) -> NoReturn:
        """Tell all channels when the feed was interrupted."""
        comebacks = bus.comebacks
        while True:
            await asyncio.sleep(LOOK_S)
            if bus.is_connected and bus.comebacks != comebacks:
                comebacks = bus.comebacks
                for channel in self._channels.values():
                    channel.broke()

    def _tick_s(self) -> float:
        return rules.tick_s(self._counts.total())
