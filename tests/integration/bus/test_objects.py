"""Objects on a real broker: put whole or not at all, read back exactly, removed without a trace."""

import asyncio
import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from crossdock import ids, native
from crossdock.bus import Bus, connect
from crossdock.bus import objects as objects_module
from crossdock.bus.objects import CHUNK_BYTES, BodyGone, Objects, ObjectWriter, stream
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import wait_for_streams
from crossdock.embedded import EmbeddedNats
from crossdock.errors import BrokerUnavailable
from proto.subjects import BODIES_BUCKET
from tests.integration.bus.conftest import publishing

BODIES = stream(BODIES_BUCKET)
TINY = 1024 * 1024


@pytest.fixture
async def bus(private_nats: EmbeddedNats) -> AsyncIterator[Bus]:
    """A broker whose bucket has room for a megabyte."""
    settings = msgspec.structs.replace(private_nats.settings(), bodies_max_bytes=TINY)
    found = await connect(settings, wait_s=10)
    await wait_for_streams(found)
    yield found
    await found.close()


@pytest.fixture
def objects(bus: Bus) -> Objects:
    return Objects(bus, BODIES_BUCKET)


@pytest.fixture
async def publisher(private_nats: EmbeddedNats) -> AsyncIterator[Publisher]:
    settings = msgspec.structs.replace(private_nats.settings(), group_commit=False)
    async with publishing(settings, timeout_s=1.0) as found:
        yield found


@pytest.fixture
def writer(publisher: Publisher, objects: Objects) -> ObjectWriter:
    return ObjectWriter(publisher, objects, BODIES_BUCKET)


def name() -> str:
    return ids.encode("evt", ids.new())


async def left(bus: Bus) -> int:
    """Return how many messages the bucket has."""
    return (await bus.jetstream().stream_info(BODIES)).state.messages


async def until_empty(bus: Bus) -> None:
    async with asyncio.timeout(10):
        while await left(bus):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "size",
    [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7],
    ids=["tiny", "just below", "one chunk", "just above", "several"],
)
async def test_what_is_put_is_read_back(writer: ObjectWriter, objects: Objects, size: int) -> None:
    first, second = (name(), secrets.token_bytes(size)), (name(), b"\x00" * 10)

    await asyncio.gather(writer.put(*first), writer.put(*second))

    assert await objects.get(first[0]) == first[1]
    assert await objects.get(second[0]) == second[1]


async def test_it_is_an_object_to_others_too(writer: ObjectWriter, bus: Bus) -> None:
    key, data = name(), secrets.token_bytes(2 * CHUNK_BYTES + 1)
    await writer.put(key, data)

    store = await bus.jetstream().object_store(BODIES_BUCKET)
    found = await store.get(key)

    assert found.data == data
    assert (found.info.size, found.info.chunks) == (len(data), 3)
    assert [info.name for info in await store.list()] == [key]


async def test_what_is_deleted_leaves_nothing(
    writer: ObjectWriter, objects: Objects, bus: Bus
) -> None:
    names = [name() for _ in range(3)]
    for one in names:
        await writer.put(one, b"x" * 1000)

    await objects.delete(names[:2])
    await objects.delete(names[:1])

    with pytest.raises(BodyGone):
        await objects.get(names[0])
    assert await objects.get(names[2]) == b"x" * 1000
    assert await left(bus) == 2


async def test_a_full_bucket_refuses_and_forgets_the_half(
    writer: ObjectWriter, objects: Objects, bus: Bus
) -> None:
    with pytest.raises(BrokerUnavailable):
        await writer.put(name(), b"x" * (TINY + CHUNK_BYTES))

    await until_empty(bus)
    key = name()
    await writer.put(key, b"x" * (TINY // 2))
    assert len(await objects.get(key)) == TINY // 2


async def test_a_broker_that_stops_is_noticed(
    writer: ObjectWriter, private_nats: EmbeddedNats
) -> None:
    private_nats.pause()
    try:
        with pytest.raises(BrokerUnavailable):
            await writer.put(name(), b"x" * CHUNK_BYTES * 3)
    finally:
        private_nats.resume()


async def test_a_damaged_object_is_none(writer: ObjectWriter, objects: Objects, bus: Bus) -> None:
    key = name()
    await writer.put(key, b"x" * (2 * CHUNK_BYTES))
    jetstream = bus.jetstream()
    await jetstream.delete_msg(BODIES, (await jetstream.stream_info(BODIES)).state.first_seq)

    with pytest.raises(BodyGone):
        await objects.get(key)


async def test_what_is_old_is_found_whole_or_not(
    writer: ObjectWriter, publisher: Publisher, objects: Objects
) -> None:
    whole, half = name(), name()
    await writer.put(whole, b"x" * (CHUNK_BYTES + 1))
    await publisher.publish(native.Message(chunks_of(half), b"x" * 10))
    span = await objects.span(BODIES)
    assert span.oldest is not None
    assert abs(span.now - datetime.now(UTC)) < timedelta(seconds=30)

    assert await objects.older_than(span.oldest) == []
    later = span.now + timedelta(seconds=1)
    assert sorted(await objects.older_than(later)) == sorted([whole, half])

    await objects.delete([whole, half])
    assert await objects.older_than(later) == []
    assert (await objects.span(BODIES)).oldest is None


async def test_a_young_object_behind_an_old_one_is_not_old(
    writer: ObjectWriter, objects: Objects, bus: Bus
) -> None:
    old, young = name(), name()
    await writer.put(old, b"x")
    between = await objects.span(BODIES)
    await asyncio.sleep(0.05)
    await writer.put(young, b"x")

    assert await objects.older_than(between.now + timedelta(milliseconds=20)) == [old]


def chunks_of(key: str) -> str:
    """Return the subject of an object's chunks, as a writer that died used it."""
    return f"$O.{BODIES_BUCKET}.C.{urlsafe_b64encode(key.encode()).decode()}"


async def test_a_put_that_took_too_long_names_nothing(
    writer: ObjectWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process must not publish the name of what a sweep may have removed meanwhile."""
    monkeypatch.setattr(objects_module, "LONGEST_PUT_S", -1.0)

    with pytest.raises(BrokerUnavailable):
        await writer.put(name(), b"x")
