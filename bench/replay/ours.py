"""A worker's two halves, as it runs them: the replay is made, and delivered, at once.

`python -m bench.replay.ours` takes a `Task` on standard input and prints a `Figure`.
"""

import asyncio
import resource
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from bench.replay.world import Figure, Task
from crossdock.config import DatabaseSettings, DeliverySettings, Settings
from crossdock.db import Database, Databases
from crossdock.delivery.client import Client
from crossdock.delivery.dispatch.dispatcher import Dispatcher
from crossdock.delivery.guard import Guard
from crossdock.delivery.model import ReplayFilter
from crossdock.delivery.replays.runner import ReplayRunner
from crossdock.delivery.replays.service import Replays
from crossdock.memory import settle_memory
from crossdock.secrets.payloads import BatchKeys
from crossdock.secrets.seal import Sealer
from workers.flow import dispatch_settings

_PAGE: Final = resource.getpagesize()
_PENDING: Final = "SELECT count(*) FROM crossdock.deliveries WHERE state = 'pending'"
_DONE: Final = "SELECT count(*) FROM crossdock.deliveries WHERE state = 'delivered'"
_TWICE: Final = "SELECT count(*) - count(DISTINCT event_id) FROM crossdock.deliveries"


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


class _Watch:
    """What a process takes while it works."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.tenth = self.most_pending = 0

    async def run(self, dispatcher: Dispatcher, count: int) -> None:
        """Look until all is delivered."""
        while dispatcher.recorder.written < count:
            await asyncio.sleep(0.25)
            if not self.tenth and dispatcher.recorder.written >= count // 10:
                self.tenth = _rss()
            async with self._database.queue() as conn:
                self.most_pending = max(self.most_pending, await conn.fetchval(_PENDING))


async def _work(task: Task, databases: Databases, client: Client) -> Figure:
    database = databases.shard(0)
    sealer = Sealer.from_text(task.key, setting="key")
    settings = Settings(delivery=DeliverySettings(allow_loopback=True, allowed_ports=()))
    keys = BatchKeys(database, "dispatch", sealer)  # nothing is sealed here
    dispatcher = Dispatcher(database, client, sealer, dispatch_settings(settings), keys=keys)
    runner = ReplayRunner(database, keys)
    watch = _Watch(database)
    settle_memory()
    opened = _rss()
    wanted = ReplayFilter(state="missed", destination_id=task.destination_id)
    wall, cpu = time.perf_counter(), time.process_time()
    started = await Replays(databases).create(task.tenant_id, wanted)
    running = [asyncio.create_task(dispatcher.run()), asyncio.create_task(runner.run())]
    await watch.run(dispatcher, task.count)
    took, worked = time.perf_counter() - wall, time.process_time() - cpu
    found = await Replays(databases).get(task.tenant_id, started.id)
    assert found.matched == found.seen == task.count, found
    for one in running:
        one.cancel()
    await asyncio.wait(running)
    async with database.queue() as conn:
        assert await conn.fetchval(_DONE) == task.count
        assert await conn.fetchval(_TWICE) == 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Figure(took, worked, opened, watch.tenth, _rss(), peak, watch.most_pending)


async def _main() -> None:
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    databases = await _open(task.database)
    guard = Guard(allowed_ports=(), allow_loopback=True)
    async with Client(guard, connections=128) as client:
        figure = await _work(task, databases, client)
    print(msgspec.json.encode(figure).decode())
    await databases.close()


async def _open(settings: DatabaseSettings) -> Databases:
    return await Databases.open(settings, {"app", "dispatch", "maintenance"})


if __name__ == "__main__":
    uvloop.run(_main())
