"""A gateway as it is really served: its own processes, a port, bytes on sockets."""

import asyncio
import os
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec
import psutil

from crossdock.config import LimitSettings, Settings
from crossdock.embedded.ports import free_port
from crossdock.supervisor.environment import environment, for_gateway
from tests.faults.waiting import until

START_S: Final = 45.0
STOP_S: Final = 20.0
GENEROUS: Final = LimitSettings(
    address_per_minute=10_000_000,
    address_burst=1_000_000,
    key_per_minute=10_000_000,
    exchange=False,
)
"""Tests of other things than limits run into none."""


@asynccontextmanager
async def served(
    settings: Settings, limits: LimitSettings = GENEROUS, **gateway: Any
) -> AsyncIterator[str]:
    """Run `crossdock gateway` on servers that are there; give its address when it is ready.

    Args:
        settings: of the servers; those of the gateway are replaced by the keywords.
        limits: how often who may ask.
        **gateway: settings of the gateway, such as `public_url`.
    """
    ports = {"port": free_port(), "metrics_port": free_port()}
    changed = msgspec.structs.replace(settings.gateway, **(ports | gateway))
    whole = msgspec.structs.replace(settings, gateway=changed, limits=limits)
    given = for_gateway(whole)
    url = f"http://127.0.0.1:{changed.port}"
    with tempfile.TemporaryFile() as said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "crossdock.cli.app", "gateway"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=_environment(given),
        )
        try:
            await _ready(url, process, said)
            yield url
        finally:
            await _stop(process)


def connected(url: str) -> dict[int, int]:
    """Return how many connections each process of a served gateway has, by its id."""
    port, listening, held = urlsplit(url).port, set(), Counter[int]()
    for found in psutil.net_connections("tcp"):
        if found.pid is None or not found.laddr or found.laddr.port != port:
            continue
        if found.status == psutil.CONN_LISTEN:
            listening.add(found.pid)
        elif found.status == psutil.CONN_ESTABLISHED:
            held[found.pid] += 1
    return {pid: held[pid] for pid in listening}


async def _ready(url: str, process: asyncio.subprocess.Process, said: Any) -> None:
    def words() -> str:
        said.seek(0)
        return str(said.read()[-4000:].decode(errors="replace"))

    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:

        async def is_ready() -> bool:
            assert process.returncode is None, words()
            try:
                return (await http.get(f"{url}/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await until(is_ready, lambda: f"a gateway that is ready: {words()}", within=START_S)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _environment(settings: Settings) -> Mapping[str, str]:
    return environment(settings, os.environ)
