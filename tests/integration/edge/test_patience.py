"""Connections on which nothing comes: closed by the server itself, whatever was sent so far."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from crossdock.config import GatewaySettings, LimitSettings, Settings
from crossdock.embedded.ports import free_port
from crossdock.supervisor.environment import environment
from tests.faults.waiting import until

WITHIN_S = 30.0
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    """Where a server with a second's patience listens."""
    number = free_port()
    gateway = GatewaySettings(port=number, metrics_port=free_port())
    settings = Settings(gateway=gateway, limits=LimitSettings(exchange=False))
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.beds.impatient"),
        env=environment(settings, os.environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def listens() -> bool:
        assert program.returncode is None
        _, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.close()
        return True

    try:
        await until(listens, "a server that listens", within=WITHIN_S)
        yield number
    finally:
        with suppress(ProcessLookupError):
            program.terminate()
        await program.wait()


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", b""),
        (b"G", b""),
        (HEAD, b""),
        (HEAD + b"X: " + b"y" * 1_000, b""),
        (HEAD + b"\r\n", b"done"),
        (HEAD + b"\r\n" + HEAD, b"done"),
    ],
    ids=["nothing", "a letter", "half a head", "half a header", "idle afterwards", "half another"],
)
async def test_who_says_no_more_is_left(port: int, sent: bytes, answered: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(WITHIN_S):
            heard = await reader.read()
    finally:
        writer.close()

    assert heard.endswith(answered)
    assert heard.count(b"done") == bool(answered)


async def test_one_letter_at_a_time_is_no_way_to_stay(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def drip() -> None:
        with suppress(OSError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(WITHIN_S):
            with suppress(OSError):
                assert await reader.read() == b""
    finally:
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.close()
