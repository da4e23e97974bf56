"""The demo from start to end: set up, send, wait for the last delivery, replay, count."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec

from crossdock.config import DeliverySettings, GatewaySettings, LimitSettings, Settings
from crossdock.demo import traffic
from crossdock.demo.board import Board
from crossdock.demo.receiver import BROKEN, MOODY, STEADY, Receiver
from crossdock.demo.scenario import (
    BROKEN_SCHEME,
    MOODY_SCHEME,
    Api,
    DemoFailedError,
    Scenario,
    create_tenant,
    set_up,
)
from crossdock.supervisor.folder import DataFolder
from crossdock.supervisor.stack import Stack

CONNECTIONS: Final = 48
POLL_S: Final = 0.25
PATIENCE_S: Final = 120.0
"""How long the demo waits for the backlog before it calls what is missing lost."""

ONE_ADDRESS: Final = LimitSettings(address_per_minute=60_000, address_burst=10_000)
"""All of the demo's senders share an address, and some hundreds of their webhooks are junk."""


class Outcome(msgspec.Struct, frozen=True):
    """The demo's last line."""

    sent: int
    accepted: int
    refused: dict[str, int]
    duplicates: int
    delivered: int
    retried: int
    dead_lettered: int
    replayed: int
    lost: int


class Demo:
    """One run; `board` shows it as it goes."""

    def __init__(self, data: Path, count: int, sink: Callable[[str, bytes], None]) -> None:
        self.receiver = Receiver()
        self.tally = traffic.Tally()
        self.board = Board(self.tally, self.receiver)
        self.folder = DataFolder(data)
        self._count = count
        self._stack = Stack(
            self.folder,
            Settings(
                gateway=GatewaySettings(public_url="http://127.0.0.1:8080"),
                delivery=DeliverySettings(allow_loopback=True, allowed_ports=()),
                limits=ONE_ADDRESS,
            ),
            sink=sink,
        )

    @contextlib.asynccontextmanager
    async def stack(self) -> AsyncIterator[Settings]:
        """Start the stack and the receiver; stop them at the end."""
        await asyncio.to_thread(self._stack.start)
        try:
            await self.receiver.start()
            yield self._stack.settings
        finally:
            await self.receiver.stop()
            await asyncio.to_thread(self._stack.stop)

    async def run(self, settings: Settings) -> Outcome:
        """Do the main job, and return what came of it."""
        tenant = await create_tenant(self.folder.path)
        api = Api(settings.gateway.public_url, tenant.api_key)
        try:
            scenario = await set_up(api, self.receiver)
            mail = traffic.compose(scenario.urls, scenario.secrets, self._count)
            self.board.begin("sending")
            await traffic.post(mail, self.tally, connections=CONNECTIONS)
            self.board.phase = "draining"
            await self._until(self._is_drained, api)
            self.board.phase = "replaying the dead letters of a mended destination"
            await self._replay(api, scenario)
            self.board.phase = "done"
            return await self._outcome(api)
        finally:
            await api.close()

    async def _replay(self, api: Api, scenario: Scenario) -> None:
        self.receiver.mend()
        wanted = {"state": "dead", "destination_id": scenario.destinations[BROKEN]}
        await api.post("/v1/replays", wanted)
        await self._until(self._is_replayed, api)

    async def _is_drained(self, api: Api) -> bool:
        """Whether each accepted webhook was taken everywhere, or is a dead letter."""
        ids = self.tally.accepted_ids
        if not self.receiver.taken[STEADY].issuperset(set().union(*ids.values())):
            return False
        if not self.receiver.taken[MOODY].issuperset(ids[MOODY_SCHEME]):
            return False
        self.board.dead_lettered = len(await api.every("/v1/dead-letters"))
        return self.board.dead_lettered >= len(ids[BROKEN_SCHEME])

    async def _is_replayed(self, _api: Api) -> bool:
        self.board.replayed = len(self.receiver.taken[BROKEN])
        return self.receiver.taken[BROKEN].issuperset(self.tally.accepted_ids[BROKEN_SCHEME])

    @staticmethod
    async def _until(is_done: Callable[[Api], Awaitable[bool]], api: Api) -> None:
        """Ask until it is so, or patience ends; what is missing then is counted as lost."""
        deadline = time.monotonic() + PATIENCE_S
        # Polled, since what is waited for happens in other processes.
        while not await is_done(api) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)

    async def _outcome(self, api: Api) -> Outcome:
        if self.tally.surprises or self.receiver.unsigned:
            first = self.tally.surprises[:3]
            raise DemoFailedError(
                f"{len(self.tally.surprises)} answers were not what they should be: {first};"
                f" {self.receiver.unsigned} deliveries had no valid signature."
            )
        dead = {letter["event_id"] for letter in await api.every("/v1/dead-letters")}
        taken, ids = self.receiver.taken, self.tally.accepted_ids
        lost = (
            len(set().union(*ids.values()) - taken[STEADY])
            + len(ids[MOODY_SCHEME] - taken[MOODY])
            + len(ids[BROKEN_SCHEME] - taken[BROKEN] - dead)
        )
        delivered_again = taken[STEADY] & self.tally.duplicate_ids
        if delivered_again:
            raise DemoFailedError(f"{len(delivered_again)} duplicates were delivered.")
        return Outcome(
            sent=self.tally.sent,
            accepted=self.tally.accepted,
            refused=dict(self.tally.refused),
            duplicates=self.tally.duplicates,
            delivered=sum(len(ids) for ids in taken.values()),
            retried=self.receiver.retried,
            dead_lettered=self.board.dead_lettered,
            replayed=self.board.replayed,
            lost=lost,
        )
