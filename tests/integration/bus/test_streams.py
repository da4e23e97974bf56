"""Streams are declared once, mended where that can be, and otherwise refused in plain words."""

import asyncio

import msgspec
import pytest
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig

from crossdock.bus import Bus, connect, streams
from crossdock.bus.streams import ensure_shard, ensure_streams, wait_for_streams
from crossdock.embedded import EmbeddedNats
from crossdock.errors import BrokerUnavailable, ConfigurationError
from proto import subjects


async def consumer_of(bus: Bus, shard: int) -> ConsumerConfig:
    """Return the consumer that a shard's workers share, as the broker has it."""
    name = subjects.persist_consumer(shard)
    found: ConsumerConfig = (
        await bus.jetstream().consumer_info(subjects.INGEST_STREAM, name)
    ).config
    return found


@pytest.fixture
def group_commit() -> bool:
    """It makes no difference here."""
    return True


async def test_they_are_what_the_design_says(bus: Bus) -> None:
    jetstream = bus.jetstream()
    ingest = (await jetstream.stream_info(subjects.INGEST_STREAM)).config
    events = (await jetstream.stream_info(subjects.EVENTS_STREAM)).config
    await ensure_shard(bus, 1)
    persist = await consumer_of(bus, 1)

    assert (ingest.retention, ingest.discard) == ("limits", "new")
    assert ingest.allow_atomic
    assert ingest.max_bytes == bus.settings.ingest_max_bytes
    assert ingest.duplicate_window == 120
    assert (events.retention, events.discard) == ("limits", "old")
    assert (persist.ack_policy, persist.filter_subject) == ("explicit", "ingest.1")
    for name in (subjects.POISON_STREAM, "KV_SETTINGS_1"):
        assert (await jetstream.stream_info(name)).config.name == name


async def test_again_changes_nothing(bus: Bus) -> None:
    jetstream = bus.jetstream()
    for shard in range(2):
        await ensure_shard(bus, shard)
    before = await jetstream.streams_info()

    await asyncio.gather(
        *(ensure_streams(bus) for _ in range(5)), *(ensure_shard(bus, n % 2) for n in range(6))
    )

    after = await jetstream.streams_info()
    assert [info.config for info in after] == [info.config for info in before]
    assert [info.created for info in after] == [info.created for info in before]


async def test_what_differs_is_mended_and_an_operators_settings_stay(bus: Bus) -> None:
    jetstream = bus.jetstream()
    found = (await jetstream.stream_info(subjects.INGEST_STREAM)).config
    theirs = found.evolve(description="theirs", allow_atomic=False, max_bytes=10_000_000)
    await jetstream.update_stream(theirs)
    await jetstream.add_consumer(
        subjects.INGEST_STREAM,
        ConsumerConfig(
            durable_name=subjects.persist_consumer(0),
            ack_wait=5.0,
            filter_subject=subjects.ingest(0),
        ),
    )

    await ensure_streams(bus)
    await ensure_shard(bus, 0)

    mended = (await jetstream.stream_info(subjects.INGEST_STREAM)).config
    assert mended.allow_atomic
    assert mended.max_bytes == bus.settings.ingest_max_bytes
    assert mended.description == "theirs"
    assert (await consumer_of(bus, 0)).ack_wait == streams.ACK_WAIT_S


async def test_a_stream_of_another_kind_is_refused_and_left_alone(bus: Bus) -> None:
    jetstream = bus.jetstream()
    await jetstream.delete_stream(subjects.EVENTS_STREAM)
    other = StreamConfig(
        name=subjects.EVENTS_STREAM, subjects=["x"], retention=RetentionPolicy.INTEREST
    )
    await jetstream.add_stream(other)

    with pytest.raises(
        ConfigurationError, match="EVENTS has retention interest; it must be limits"
    ):
        await ensure_streams(bus)

    found = (await jetstream.stream_info(subjects.EVENTS_STREAM)).config
    assert found.subjects == ["x"]


async def test_what_the_broker_refuses_is_told(bus: Bus) -> None:
    jetstream = bus.jetstream()
    await jetstream.delete_stream(subjects.EVENTS_STREAM)
    await jetstream.add_stream(StreamConfig(name="THEIRS", subjects=["events.>"]))

    with pytest.raises(ConfigurationError, match="stream EVENTS: subjects overlap"):
        await ensure_streams(bus)

    await jetstream.delete_stream("THEIRS")
    many = msgspec.structs.replace(bus.settings, replicas=3)
    with pytest.raises(ConfigurationError, match="replicas"):
        await ensure_streams(Bus(bus.client, many))


async def test_a_broker_that_is_away_is_waited_for(private_nats: EmbeddedNats) -> None:
    settings = private_nats.settings()
    private_nats.kill()
    with pytest.raises(BrokerUnavailable, match="away"):
        await connect(settings, wait_s=0.5)
    connecting = asyncio.create_task(connect(settings))
    await asyncio.to_thread(private_nats.start)
    bus = await asyncio.wait_for(connecting, 10)
    try:
        private_nats.pause()
        declaring = asyncio.create_task(wait_for_streams(bus))
        private_nats.resume()
        await asyncio.wait_for(declaring, 30)
        await bus.round_trip()
    finally:
        await bus.close()


async def test_a_connection_comes_back_by_itself(private_nats: EmbeddedNats, bus: Bus) -> None:
    await asyncio.to_thread(private_nats.kill)
    with pytest.raises(BrokerUnavailable):
        await bus.round_trip(0.5)

    await asyncio.to_thread(private_nats.start)

    async with asyncio.timeout(10):
        while not bus.is_connected:
            await asyncio.sleep(0.01)
    await bus.round_trip()
