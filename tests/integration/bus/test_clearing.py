"""INGEST keeps what is not done with, and nothing else for long."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from crossdock.bus import Bus
from crossdock.bus.clearing import Clearing
from crossdock.bus.streams import ensure_shard
from crossdock.embedded import EmbeddedNats
from crossdock.errors import BrokerUnavailable
from proto import subjects
from tests.beds.delivery import until


@pytest.fixture
def group_commit() -> bool:
    """It makes no difference here."""
    return True


@pytest.fixture
async def clearing(bus: Bus) -> AsyncIterator[Clearing]:
    """What clears the first of two shards."""
    for shard in (0, 1):
        await ensure_shard(bus, shard)
    found = Clearing(bus, 0)
    task = asyncio.create_task(found.run())
    yield found
    task.cancel()


async def accept(bus: Bus, shard: int, count: int) -> None:
    """Publish messages for a shard."""
    for number in range(count):
        await bus.jetstream().publish(subjects.ingest(shard), b"%d" % number)


async def pull(bus: Bus, shard: int, count: int) -> list[Any]:
    """Have messages handed out to us."""
    name = subjects.persist_consumer(shard)
    pulling = await bus.jetstream().pull_subscribe_bind(name, subjects.INGEST_STREAM)
    return list(await pulling.fetch(count, timeout=5))


async def left(bus: Bus, shard: int) -> int:
    """Return how many messages of a shard the stream still has."""
    subject = subjects.ingest(shard)
    info = await bus.jetstream().stream_info(subjects.INGEST_STREAM, subjects_filter=subject)
    return (info.state.subjects or {}).get(subject, 0)


async def test_what_is_done_with_goes_and_another_shards_stays(
    bus: Bus, clearing: Clearing
) -> None:
    await accept(bus, 0, 5)
    await accept(bus, 1, 5)
    for shard in (0, 1):
        for message in await pull(bus, shard, 5):
            await message.ack()
    clearing.done()

    async def is_clear() -> bool:
        return await left(bus, 0) == 0

    await until(is_clear)
    assert await left(bus, 1) == 5


async def test_what_somebody_is_at_stays_and_all_after_it(bus: Bus, clearing: Clearing) -> None:
    await accept(bus, 0, 5)
    had = await pull(bus, 0, 5)
    for message in (had[0], had[1], had[3], had[4]):
        await message.ack_sync()
    await clearing.clear()
    assert await left(bus, 0) == 3

    await had[2].term()
    await bus.client.flush()
    clearing.done()

    async def is_clear() -> bool:
        return await left(bus, 0) == 0

    await until(is_clear)


async def test_what_was_left_by_a_crash_goes_at_the_start(bus: Bus) -> None:
    await ensure_shard(bus, 0)
    await accept(bus, 0, 3)
    for message in await pull(bus, 0, 3):
        await message.ack_sync()
    task = asyncio.create_task(Clearing(bus, 0).run())
    try:

        async def is_clear() -> bool:
            return await left(bus, 0) == 0

        await until(is_clear)
    finally:
        task.cancel()


async def test_a_broker_that_was_away_is_cleared_once_it_is_back(
    bus: Bus, private_nats: EmbeddedNats, clearing: Clearing
) -> None:
    await accept(bus, 0, 3)
    for message in await pull(bus, 0, 3):
        await message.ack_sync()
    # Not killed: it would have forgotten the last acknowledgements, and hand these out again.
    await asyncio.to_thread(private_nats.stop)
    clearing.done()
    await asyncio.sleep(0.6)  # it is asked in vain
    await asyncio.to_thread(private_nats.start)

    async def is_clear() -> bool:
        return await left(bus, 0) == 0

    await until(is_clear, within_s=20)


class Refused(Clearing):
    """Finds the broker away, each time."""

    asked = 0

    async def clear(self) -> None:
        self.asked += 1
        raise BrokerUnavailable


async def test_an_outage_is_told_once_and_asked_about_again(bus: Bus) -> None:
    clearing = Refused(bus, 0)
    with capture_logs() as said:
        task = asyncio.create_task(clearing.run())

        async def is_asked_again() -> bool:
            return clearing.asked >= 3

        await until(is_asked_again)
        task.cancel()
    assert [line["event"] for line in said] == ["clearing_waits"]
