"""The rate of ingest with a thousand listeners, against the same without, by turns."""

import asyncio
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
import psutil

from bench import load
from bench.api.world import World
from bench.events.listeners import Crowd
from bench.load import Task
from bench.load.model import Request
from crossdock.client import AsyncClient
from crossdock.client.models.shared import Recipe

SOURCES: Final = 50
LISTENERS: Final = 1_000
CONNECTIONS: Final = 8
BODY: Final = '{"id":"evt_1","data":{"object":{"customer":"cus_1","total":12}}}'


class Round(NamedTuple):
    """A load, and what it cost."""

    rate: float
    """Webhooks a second."""
    gateway_us: float
    """CPU of the gateway's process for each webhook, microseconds, until all were told."""
    foreign: float
    """Processors' worth of time used by anybody else, the whole time."""
    frames: float = 0.0
    """Events that all listeners together were sent a second of load."""
    crowd_us: float = 0.0
    """CPU of the listeners' own process for each webhook."""


class Streamed(NamedTuple):
    """What was measured, by turns."""

    alone: list[Round]
    """While nobody listens."""
    heard: list[Round]
    """While a thousand do."""

    def ratio(self, field: str) -> float:
        """Return the median of what the pairs' second ones are of the first."""
        pairs = zip(self.alone, self.heard, strict=True)
        return float(
            statistics.median(getattr(two, field) / getattr(one, field) for one, two in pairs)
        )

    @staticmethod
    def median(rounds: list[Round], field: str) -> float:
        """Return the median of one thing."""
        return float(statistics.median(getattr(one, field) for one in rounds))


class _Costs(NamedTuple):
    """CPU seconds so far."""

    gateway: float
    ours: float
    machine: float
    at: float


def _costs() -> _Costs:
    """Return who has used how much; a process that ended counts as its parent's."""
    me = psutil.Process()
    gateway = 0.0
    ours = _used(me)
    for process in me.children(recursive=True):
        with suppress(psutil.Error):
            used = _used(process)
            ours += used
            parent = process.parent()
            if "multiprocessing-fork" in " ".join(process.cmdline()) and parent is not None:
                gateway += used if "gateway" in parent.cmdline() else 0.0
    machine = psutil.cpu_times()
    busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0)
    return _Costs(gateway, ours, busy, time.perf_counter())


def _used(process: psutil.Process) -> float:
    return float(sum(process.cpu_times()[:4]))


async def measure(world: World, seconds: float, rounds: int) -> Streamed:
    """Load one gateway by turns, with listeners and without."""
    async with AsyncClient(world.url, world.key) as client:
        recipe = Recipe(dedupe="none")
        made = [
            await client.sources.create(name=f"live {n}", scheme="none", recipe=recipe)
            for n in range(SOURCES)
        ]
    port = urlsplit(world.url).port or 0
    requests = [
        Request(
            urlsplit(one.ingest_url or "").path, {"content-type": "application/json"}, "POST", BODY
        )
        for one in made
    ]
    task = Task(port, requests, CONNECTIONS, seconds)
    crowd = Crowd(port, world.key, [made[n % SOURCES].id for n in range(LISTENERS)])
    streamed = Streamed([], [])
    await load.send(task)
    await _settled(world)
    for _ in range(rounds):
        streamed.alone.append(await _round(world, task))
        async with _listening(crowd) as ears:
            streamed.heard.append(await _round(world, task, ears))
    return streamed


async def _round(world: World, task: Task, ears: asyncio.subprocess.Process | None = None) -> Round:
    crowd = psutil.Process(ears.pid) if ears else None
    told = await _count(ears) if ears else 0
    listening, before = _used(crowd) if crowd else 0.0, _costs()
    sent = await load.send(task)
    await _settled(world)
    after, heard = _costs(), _used(crowd) if crowd else 0.0
    each = 1e6 / sent.accepted
    if ears:
        told = await _count(ears) - told
        wanted = sent.accepted * LISTENERS / SOURCES
        assert told >= wanted, f"{told} of {wanted} events were heard"
    others = (after.machine - before.machine) - (after.ours - before.ours)
    return Round(
        rate=sent.rate,
        gateway_us=(after.gateway - before.gateway) * each,
        foreign=max(0.0, others) / (after.at - before.at),
        frames=told / sent.seconds,
        crowd_us=(heard - listening) * each,
    )


async def _settled(world: World) -> None:
    """Wait until what was taken is persisted, and was told."""
    count = -1
    while True:
        await asyncio.sleep(2)
        now = await world.admin.fetchval("SELECT count(*) FROM crossdock.events")
        if now == count:
            return
        count = now


@asynccontextmanager
async def _listening(crowd: Crowd) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "bench.events.listeners")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(crowd) + b"\n")
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield process
    finally:
        process.stdin.close()
        await process.wait()


async def _count(process: asyncio.subprocess.Process) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    return int(await process.stdout.readline())
