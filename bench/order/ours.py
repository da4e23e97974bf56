"""A worker's joiner and dispatcher: they let in what waits, and deliver it.

`python -m bench.order.ours` takes a `Job` on standard input and prints a `Figure`. The broker is
real and has acknowledged everything, so that all of it may join.
"""

import asyncio
import sys
import time

import msgspec
import uvloop

from crossdock.bus import connect
from crossdock.bus.streams import ensure_shard, ensure_streams
from crossdock.config import (
    DatabaseSettings,
    DeliverySettings,
    NatsSettings,
    Settings,
    WorkerSettings,
)
from crossdock.db import Database
from crossdock.delivery.client import Client
from crossdock.delivery.dispatch.dispatcher import Dispatcher
from crossdock.delivery.guard import Guard
from crossdock.delivery.order.service import Joiner
from crossdock.memory import settle_memory
from crossdock.secrets.payloads import BatchKeys
from crossdock.secrets.seal import Sealer
from workers.flow import dispatch_settings


class Job(msgspec.Struct, frozen=True):
    """What to deliver, from where."""

    measured: int
    concurrency: int
    database: DatabaseSettings
    nats: NatsSettings
    key: str


class Figure(msgspec.Struct, frozen=True):
    """What it took."""

    wall_s: float
    cpu_s: float
    gap_s: float
    """The longest time in which no result was written."""


async def _main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    database = await Database.open(job.database, ["dispatch"])
    bus = await connect(job.nats, name="bench")
    await ensure_streams(bus)
    await ensure_shard(bus, 0)
    sealer = Sealer.from_text(job.key, setting="key")
    settings = Settings(
        worker=WorkerSettings(concurrency=job.concurrency),
        delivery=DeliverySettings(allow_loopback=True, allowed_ports=()),
    )
    guard = Guard(allowed_ports=(), allow_loopback=True)
    async with database.queue() as conn:  # connected before the clock starts
        await conn.fetchval("SELECT 1")
    async with Client(guard, connections=job.concurrency) as client:
        keys = BatchKeys(database, "dispatch", sealer)  # nothing is sealed here
        dispatcher = Dispatcher(database, client, sealer, dispatch_settings(settings), keys=keys)
        joiner = Joiner(database, bus, on_due=dispatcher.expect)
        settle_memory()
        wall, cpu = time.perf_counter(), time.process_time()
        running = [asyncio.create_task(one.run()) for one in (dispatcher, joiner)]
        gap_s = await _watch(dispatcher, job.measured)
        figure = Figure(time.perf_counter() - wall, time.process_time() - cpu, gap_s)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
    print(msgspec.json.encode(figure).decode())
    await bus.close()
    await database.close()


async def _watch(dispatcher: Dispatcher, wanted: int) -> float:
    """Wait until so many results are written; return the longest time without one."""
    seen, since, longest = 0, time.perf_counter(), 0.0
    while seen < wanted:
        await asyncio.sleep(0.002)
        written, now = dispatcher.recorder.written, time.perf_counter()
        if written > seen:
            longest, seen, since = max(longest, now - since), written, now
    return longest


if __name__ == "__main__":
    uvloop.run(_main())
