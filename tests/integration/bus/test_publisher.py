"""Publishing on a good day, and what can be told before anything is sent."""

import asyncio
import secrets
import socket
from pathlib import Path

import msgspec
import pytest

from crossdock.bus import Bus, connect
from crossdock.bus.publisher import Publisher
from crossdock.config import NatsSettings
from crossdock.embedded import EmbeddedNats
from crossdock.embedded.ports import free_port
from crossdock.errors import BrokerUnavailable, ConfigurationError, TooLarge
from tests.integration.bus.conftest import Book, check, message, publishing, refusal


@pytest.mark.parametrize("publishers", [1, 5, 200])
async def test_what_is_published_is_stored_once(
    broker_settings: NatsSettings, bus: Bus, publishers: int
) -> None:
    async with publishing(broker_settings) as publisher:
        book = Book(publisher)
        async with book.traffic(publishers):
            await book.reaches(3 * publishers)

        assert not book.failed
        await check(book, bus)


async def test_a_burst_larger_than_a_batch(broker_settings: NatsSettings, bus: Bus) -> None:
    async with publishing(broker_settings) as publisher:
        book = Book(publisher)
        await asyncio.gather(*(book.publish(100) for _ in range(2500)))

        assert len(book.acknowledged) == 2500
        await check(book, bus)


async def test_large_messages(broker_settings: NatsSettings, bus: Bus) -> None:
    async with publishing(broker_settings) as publisher:
        book = Book(publisher)
        await asyncio.gather(*(book.publish(500_000) for _ in range(40)))

        assert len(book.acknowledged) == 40
        await check(book, bus)


async def test_a_message_that_the_broker_would_not_take_is_not_sent(
    broker_settings: NatsSettings, bus: Bus
) -> None:
    async with publishing(broker_settings) as publisher:
        with pytest.raises(TooLarge):
            publisher.publish(message("large", EmbeddedNats(Path("/")).max_payload))

        await publisher.publish(message("small"))


async def test_draining_waits_for_every_answer(broker_settings: NatsSettings, bus: Bus) -> None:
    async with publishing(broker_settings) as publisher:
        waiting = [publisher.publish(message(str(number))) for number in range(500)]

        assert await publisher.drain(10) == 0

        assert all(future.exception() is None for future in waiting)


async def test_closing_fails_what_still_waits(
    private_nats: EmbeddedNats, broker_settings: NatsSettings, bus: Bus
) -> None:
    async with publishing(broker_settings) as publisher:
        private_nats.pause()
        try:
            waiting = publisher.publish(message("late"))
            assert await publisher.drain(0.1) == 1
            await publisher.close()
        finally:
            private_nats.resume()

        with pytest.raises(BrokerUnavailable):
            await waiting
        with pytest.raises(BrokerUnavailable):
            publisher.publish(message("later"))


async def test_a_sender_that_goes_away_disturbs_nobody(
    broker_settings: NatsSettings, bus: Bus
) -> None:
    async with publishing(broker_settings) as publisher:
        waiting = [publisher.publish(message(str(number))) for number in range(100)]
        for future in waiting[::2]:
            future.cancel()

        await asyncio.gather(*waiting[1::2])
        assert await publisher.drain(5) == 0


async def test_a_broker_that_comes_later_is_found(private_folder: Path) -> None:
    server = EmbeddedNats(private_folder, port=free_port())
    settings = NatsSettings(url=f"nats://127.0.0.1:{server.port}")
    with server:
        settings = server.settings()
    publisher = Publisher(settings)
    try:
        await refusal(publisher, "not connected")
        await refusal(publisher, "away")
        with server:
            async with asyncio.timeout(10):
                await publisher.wait_connected()
    finally:
        await publisher.close()


async def test_a_wrong_password_is_told(private_nats: EmbeddedNats) -> None:
    wrong = msgspec.structs.replace(private_nats.settings(), password=secrets.token_hex())
    publisher = Publisher(wrong)
    try:
        await refusal(publisher, "Authorization")
    finally:
        await publisher.close()
    with pytest.raises(ConfigurationError, match="refuses"):
        await connect(wrong, wait_s=10)


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"INFO {\r\n", b""])
async def test_what_is_no_broker_is_told(greeting: bytes) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        publisher = Publisher(NatsSettings(url=f"nats://127.0.0.1:{port}"))
        try:
            await refusal(publisher, "NATS protocol", "closed", "reset")
        finally:
            await publisher.close()


async def test_a_server_that_says_nothing_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"nats://127.0.0.1:{silent.getsockname()[1]}"
        publisher = Publisher(NatsSettings(url=url))
        try:
            await refusal(publisher, "does not answer")
        finally:
            await publisher.close()


async def test_the_next_address_is_tried(private_nats: EmbeddedNats, bus: Bus) -> None:
    settings = private_nats.settings()
    several = msgspec.structs.replace(
        settings, url=f"nats://127.0.0.1:{free_port()},{settings.url}"
    )
    async with publishing(several) as publisher:
        await publisher.publish(message("x"))
