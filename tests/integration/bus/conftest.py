"""A broker of one's own with the streams declared, and a book of what it acknowledged."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from crossdock import ids
from crossdock.bus import Bus, connect
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import wait_for_streams
from crossdock.config import NatsSettings
from crossdock.embedded import EmbeddedNats
from crossdock.errors import BrokerUnavailable
from crossdock.native import Message
from proto import subjects


@pytest.fixture(params=[False, True], ids=["one by one", "group commit"])
def group_commit(request: pytest.FixtureRequest) -> bool:
    """Both ways to publish."""
    found: bool = request.param
    return found


@pytest.fixture
def broker_settings(private_nats: EmbeddedNats, *, group_commit: bool) -> NatsSettings:
    """How to connect to a broker that a test may kill."""
    return msgspec.structs.replace(private_nats.settings(), group_commit=group_commit)


@pytest.fixture
async def bus(broker_settings: NatsSettings) -> AsyncIterator[Bus]:
    """A connection beside the publisher's, with which the streams were declared."""
    found = await connect(broker_settings, wait_s=10)
    await wait_for_streams(found)
    yield found
    await found.close()


@asynccontextmanager
async def publishing(settings: NatsSettings, **options: Any) -> AsyncIterator[Publisher]:
    """A publisher, connected."""
    publisher = Publisher(settings, **options)
    try:
        async with asyncio.timeout(10):
            await publisher.wait_connected()
        yield publisher
    finally:
        await publisher.close()


def message(message_id: str, size: int = 1024) -> Message:
    """Return a message for INGEST."""
    return Message(subjects.ingest(0), b"x" * size, [("Nats-Msg-Id", message_id)])


async def refusal(publisher: Publisher, *words: str, within_s: float = 10.0) -> str:
    """Wait until the publisher refuses with one of these words, and return all it says."""
    said = ""
    async with asyncio.timeout(within_s):
        while not any(word in said for word in words):
            try:
                publisher.publish(message("refused")).cancel()
            except BrokerUnavailable as error:
                said = str(error)
            await asyncio.sleep(0.01)
    return said


class Book:
    """What was published, from many at once, and what the broker said of it."""

    def __init__(self, publisher: Publisher) -> None:
        self.acknowledged: list[str] = []
        self.failed: list[str] = []
        self._publisher = publisher
        self._stop = False

    async def publish(self, size: int = 1024) -> None:
        """Publish one, and write down its fate."""
        message_id = ids.new().hex
        try:
            await self._publisher.publish(message(message_id, size))
        except BrokerUnavailable:
            self.failed.append(message_id)
        else:
            self.acknowledged.append(message_id)

    async def _go_on(self) -> None:
        while not self._stop:
            failures = len(self.failed)
            await self.publish()
            # A broker that is away refuses at once: don't spin.
            await asyncio.sleep(0.01 if len(self.failed) > failures else 0)

    @asynccontextmanager
    async def traffic(self, publishers: int = 64) -> AsyncIterator[None]:
        """Publish from many at once, for as long as the block lasts."""
        self._stop = False
        async with asyncio.TaskGroup() as group:
            for _ in range(publishers):
                group.create_task(self._go_on())
            try:
                yield
            finally:
                self._stop = True

    async def reaches(self, more: int, within_s: float = 20.0) -> None:
        """Wait until so many more are acknowledged."""
        goal = len(self.acknowledged) + more
        async with asyncio.timeout(within_s):
            while len(self.acknowledged) < goal:
                await asyncio.sleep(0.01)

    async def notices(self, within_s: float = 5.0) -> None:
        """Wait until the broker's end is known: something failed, or nothing waits for its word."""
        async with asyncio.timeout(within_s):
            while not self.failed and self._publisher.pending:
                await asyncio.sleep(0.01)


async def stored(bus: Bus) -> list[str]:
    """Return the ids of all messages that INGEST has."""
    jetstream = bus.jetstream(20)
    state = (await jetstream.stream_info(subjects.INGEST_STREAM)).state
    found = []
    for sequence in range(max(1, state.first_seq), state.last_seq + 1):
        got = await jetstream.get_msg(subjects.INGEST_STREAM, sequence)
        found.append((got.headers or {})["Nats-Msg-Id"])
    return found


async def check(book: Book, bus: Bus) -> None:
    """Hold the oracle: what was acknowledged is there, once."""
    async with asyncio.timeout(10):
        while not bus.is_connected:
            await asyncio.sleep(0.05)
    found = await stored(bus)
    assert len(found) == len(set(found)), "a message is there twice"
    lost = set(book.acknowledged) - set(found)
    assert not lost, f"{len(lost)} of {len(book.acknowledged)} acknowledged messages are not there"
