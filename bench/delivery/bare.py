"""The yardstick: a loop of aiohttp that posts the same bodies and does nothing else.

`python -m bench.delivery.bare` takes a `Task` on standard input and prints a `Figure`.
"""

import asyncio
import sys
import time

import aiohttp
import msgspec
import uvloop
from yarl import URL

from bench.delivery.world import Figure, Task, body


async def _main() -> None:
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    bodies = iter([body(number) for number in range(task.count)])
    url = URL(f"http://127.0.0.1:{task.port}/hook")
    headers = {"content-type": "application/json"}
    connector = aiohttp.TCPConnector(limit=task.concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post_all() -> None:
            for one in bodies:
                async with session.post(url, data=one, headers=headers) as answer:
                    assert answer.status == 204
                    await answer.read()

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(post_all() for _ in range(task.concurrency)))
        figure = Figure(time.perf_counter() - wall, time.process_time() - cpu)
    print(msgspec.json.encode(figure).decode())


if __name__ == "__main__":
    uvloop.run(_main())
