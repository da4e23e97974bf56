"""The broker killed, stopped, restarted, full: what it acknowledged is there, and nothing hangs."""

import asyncio

import msgspec
import pytest

from crossdock.bus import Bus
from crossdock.bus.streams import ensure_streams
from crossdock.config import NatsSettings
from crossdock.embedded import EmbeddedNats
from crossdock.errors import BrokerUnavailable
from proto import subjects
from tests.integration.bus.conftest import Book, check, message, publishing

TIMEOUT_S = 1.0
"""Of a publish in these tests."""
SLACK_S = 1.0
"""The clock's ticks, and a machine that does other things too."""


async def test_killed_and_started_again(
    private_nats: EmbeddedNats, broker_settings: NatsSettings, bus: Bus
) -> None:
    async with publishing(broker_settings, timeout_s=TIMEOUT_S) as publisher:
        book = Book(publisher)
        async with book.traffic():
            for _ in range(3):
                await book.reaches(200)
                await asyncio.to_thread(private_nats.kill)
                await book.notices()
                await asyncio.to_thread(private_nats.start)
            await book.reaches(200)

    assert book.failed
    await check(book, bus)


async def test_told_to_stop_and_started_again(
    private_nats: EmbeddedNats, broker_settings: NatsSettings, bus: Bus
) -> None:
    async with publishing(broker_settings, timeout_s=TIMEOUT_S) as publisher:
        book = Book(publisher)
        async with book.traffic():
            await book.reaches(200)
            await asyncio.to_thread(private_nats.restart)
            await book.reaches(200)

    await check(book, bus)


async def test_stopped_in_its_tracks(
    private_nats: EmbeddedNats, broker_settings: NatsSettings, bus: Bus
) -> None:
    async with publishing(broker_settings, timeout_s=TIMEOUT_S) as publisher:
        book = Book(publisher)
        async with book.traffic():
            await book.reaches(200)
            private_nats.pause()
            try:
                async with asyncio.timeout(TIMEOUT_S + SLACK_S):
                    while not book.failed:
                        await asyncio.sleep(0.01)
                # All that was on its way here when it was stopped has long arrived.
                before, failures = len(book.acknowledged), len(book.failed)
                async with asyncio.timeout(TIMEOUT_S + SLACK_S):
                    while len(book.failed) < failures + 100:
                        await asyncio.sleep(0.01)
                assert len(book.acknowledged) == before
            finally:
                private_nats.resume()
            await book.reaches(200)

    await check(book, bus)


async def test_full_it_refuses_and_what_it_took_is_there(
    broker_settings: NatsSettings, bus: Bus
) -> None:
    small = msgspec.structs.replace(broker_settings, ingest_max_bytes=200_000)
    await ensure_streams(Bus(bus.client, small))
    async with publishing(small) as publisher:
        book = Book(publisher)
        for _ in range(5):
            await asyncio.gather(*(book.publish() for _ in range(100)))
        assert 100 < len(book.acknowledged) < 200
        await check(book, bus)
        with pytest.raises(BrokerUnavailable, match="maximum bytes"):
            await publisher.publish(message("one-more"))

        await bus.jetstream().purge_stream(subjects.INGEST_STREAM)

        await publisher.publish(message("room-again"))


async def test_without_the_stream_nothing_is_acknowledged(
    broker_settings: NatsSettings, bus: Bus
) -> None:
    await bus.jetstream().delete_stream(subjects.INGEST_STREAM)
    async with publishing(broker_settings, timeout_s=TIMEOUT_S) as publisher:
        book = Book(publisher)
        await asyncio.gather(*(book.publish() for _ in range(50)))

        assert len(book.failed) == 50


async def test_a_batch_with_an_id_that_is_there_already(
    broker_settings: NatsSettings, bus: Bus
) -> None:
    async with publishing(broker_settings) as publisher:
        await publisher.publish(message("known"))
        names = [f"new-{number}" for number in range(40)]
        names.insert(20, "known")

        await asyncio.gather(*(publisher.publish(message(name)) for name in names))

        book = Book(publisher)
        book.acknowledged = names
        await check(book, bus)


async def test_a_stream_that_takes_no_batches(broker_settings: NatsSettings, bus: Bus) -> None:
    info = await bus.jetstream().stream_info(subjects.INGEST_STREAM)
    await bus.jetstream().update_stream(info.config.evolve(allow_atomic=False))
    async with publishing(broker_settings) as publisher:
        book = Book(publisher)
        for _ in range(2):
            await asyncio.gather(*(book.publish() for _ in range(50)))

        assert not book.failed
        await check(book, bus)


async def test_what_waits_is_bounded_in_number(
    private_nats: EmbeddedNats, broker_settings: NatsSettings, bus: Bus
) -> None:
    async with publishing(broker_settings, timeout_s=TIMEOUT_S, max_pending=100) as publisher:
        private_nats.pause()
        try:
            waiting = [publisher.publish(message(str(number))) for number in range(100)]
            with pytest.raises(BrokerUnavailable, match="too many"):
                publisher.publish(message("one too many"))
            ends = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(end, BrokerUnavailable) for end in ends)
        finally:
            private_nats.resume()


async def test_what_waits_is_bounded_in_bytes(
    private_nats: EmbeddedNats, broker_settings: NatsSettings, bus: Bus
) -> None:
    limit = 4 * 1024 * 1024
    async with publishing(
        broker_settings, timeout_s=TIMEOUT_S, max_queued_bytes=limit
    ) as publisher:
        private_nats.pause()
        waiting: list[asyncio.Future[None]] = []
        try:
            said = ""
            while not said and len(waiting) < 1000:
                try:
                    waiting.append(publisher.publish(message(str(len(waiting)), 500_000)))
                except BrokerUnavailable as error:
                    said = str(error)
                await asyncio.sleep(0)
            assert "too many" in said
            assert len(waiting) < 100
            ends = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(end, BrokerUnavailable) for end in ends)
        finally:
            private_nats.resume()
