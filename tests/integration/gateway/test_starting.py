"""Programs that are started wrongly, or stopped before their servers are there."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import pytest

from crossdock.config import GatewaySettings, KeySettings, NatsSettings, Settings, WorkerSettings
from crossdock.embedded.ports import free_port
from crossdock.secrets.keys import GATEWAY
from crossdock.supervisor.environment import environment

KEY: Final = "A" * 43 + "="
KEYS: Final = dict.fromkeys(GATEWAY, KEY)
SOON_S: Final = 4.0
"""Starting an interpreter and ending it is in it; what is waited for in vain takes ten."""


def settings(**keys: str | None) -> Settings:
    """Return settings of servers that are not there."""
    return Settings(
        nats=NatsSettings(url=f"nats://127.0.0.1:{free_port()}"),
        gateway=GatewaySettings(port=free_port(), metrics_port=free_port()),
        worker=WorkerSettings(metrics_port=free_port()),
        keys=KeySettings(**(KEYS | keys)),
    )


@asynccontextmanager
async def started(program: str, given: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `crossdock gateway` or `crossdock worker`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "crossdock.cli.app", program),
        env=environment(given, os.environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def lines_until(process: asyncio.subprocess.Process, word: bytes) -> None:
    """Read until a line has a word in it."""
    assert process.stdout is not None
    async for line in process.stdout:
        if word in line:
            return
    raise AssertionError(f"it ended without {word!r}")


@pytest.mark.parametrize("program", ["gateway", "worker"])
async def test_told_to_stop_while_it_waits_for_its_broker_it_does(program: str) -> None:
    async with started(program, settings()) as process:
        await lines_until(process, b"broker_away")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said, _ = await process.communicate()
    assert process.returncode == 0
    assert time.monotonic() - began < SOON_S
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    ("program", "key"),
    [
        *(("gateway", name) for name in KEYS),
        ("worker", "destinations"),
        ("worker", "mail"),
    ],
)
@pytest.mark.parametrize("value", [None, "too short"])
async def test_a_key_that_is_missing_is_told_before_anything_is_waited_for(
    program: str, key: str, value: str | None
) -> None:
    async with started(program, settings(**{key: value})) as process:
        said, _ = await process.communicate()
    assert process.returncode not in {0, None}
    assert f"CROSSDOCK_KEYS__{key.upper()}".encode() in said
    assert b"broker_away" not in said
    assert b"Traceback" not in said


async def test_a_worker_needs_no_key_for_what_it_does_not_do() -> None:
    given = settings(destinations=None)
    worker = msgspec.structs.replace(given.worker, roles=("maintenance",))
    async with started("worker", msgspec.structs.replace(given, worker=worker)) as process:
        await lines_until(process, b"broker_away")
