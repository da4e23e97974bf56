"""The worker's dispatcher, as the worker runs it: claim, load, sign, call, record.

`python -m bench.delivery.ours` takes a `Job` on standard input and prints a `Figure`. All that is
due lies in the database; it is done when every result is committed.
"""

import asyncio
import cProfile
import pstats
import sys
import time

import msgspec
import uvloop

from bench.delivery.world import Figure, Task
from crossdock.config import DatabaseSettings, DeliverySettings, Settings, WorkerSettings
from crossdock.db import Database
from crossdock.delivery.client import Client
from crossdock.delivery.dispatch.dispatcher import Dispatcher
from crossdock.delivery.guard import Guard
from crossdock.memory import settle_memory
from crossdock.secrets.payloads import BatchKeys
from crossdock.secrets.seal import Sealer
from workers.flow import dispatch_settings


class Job(msgspec.Struct, frozen=True):
    """What to deliver, from where."""

    task: Task
    database: DatabaseSettings
    key: str
    profile: bool = False


async def _main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    database = await Database.open(job.database, ["dispatch"])
    sealer = Sealer.from_text(job.key, setting="key")
    concurrency = job.task.concurrency
    settings = Settings(
        worker=WorkerSettings(concurrency=concurrency),
        delivery=DeliverySettings(allow_loopback=True, allowed_ports=()),
    )
    guard = Guard(allowed_ports=(), allow_loopback=True)
    async with database.queue() as conn:  # connected before the clock starts
        assert await conn.fetchval(_LEFT) == job.task.count
    async with Client(guard, connections=concurrency) as client:
        keys = BatchKeys(database, "dispatch", sealer)  # nothing is sealed here
        dispatcher = Dispatcher(database, client, sealer, dispatch_settings(settings), keys=keys)
        settle_memory()
        profiler = cProfile.Profile()
        if job.profile:
            profiler.enable()
        wall, cpu = time.perf_counter(), time.process_time()
        running = asyncio.create_task(dispatcher.run())
        while dispatcher.recorder.written < job.task.count:  # noqa: ASYNC110 - nobody else asks
            await asyncio.sleep(0.005)
        figure = Figure(time.perf_counter() - wall, time.process_time() - cpu)
        profiler.disable()
        running.cancel()
        await asyncio.wait([running])
    async with database.queue() as conn:
        assert await conn.fetchval(_LEFT) == 0
    if job.profile:
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(
            "crossdock|asyncpg|uuid|prometheus|asyncio|builtin|msgspec|re.py", 45
        )
    print(msgspec.json.encode(figure).decode())
    await database.close()


_LEFT = "SELECT count(*) FROM crossdock.deliveries WHERE state = 'pending'"

if __name__ == "__main__":
    uvloop.run(_main())
