"""A tenant that publishes a lot: `python -m bench.fairness.noise` takes a `Noise`, and goes on.

Its pace is bounded: a request that is slow delays the next ones, and nothing piles up here. When it
is ended it prints how many events were taken.
"""

import asyncio
import signal
import sys
import time
from typing import Final

import aiohttp
import msgspec
import uvloop

from bench.fairness.world import BATCH, Noise, body

_AT_ONCE: Final = 4


class _Loud:
    def __init__(self, noise: Noise) -> None:
        self._noise = noise
        self._began = time.time_ns()
        self._number = 0
        self.taken = 0

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(self._lane(session, lane) for lane in range(_AT_ONCE)))

    async def _lane(self, session: aiohttp.ClientSession, lane: int) -> None:
        gap_s = BATCH * _AT_ONCE / self._noise.per_s
        due = time.perf_counter() + gap_s * lane / _AT_ONCE
        while True:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            due = max(due + gap_s, time.perf_counter() - gap_s)
            await self._send(session)

    async def _send(self, session: aiohttp.ClientSession) -> None:
        self._number += BATCH
        events = [
            {"id": f"{self._began}-{one}", "event_type": "invoice.paid", "payload": body(one)}
            for one in range(self._number, self._number + BATCH)
        ]
        async with session.post(
            f"{self._noise.url}/v1/events/batch",
            data=msgspec.json.encode({"events": events}),
            headers={
                "authorization": f"Bearer {self._noise.key}",
                "content-type": "application/json",
            },
        ) as answer:
            found = msgspec.json.decode(await answer.read())
            self.taken += sum(one["status"] == 202 for one in found.get("items", ()))


async def _main() -> int:
    loud = _Loud(msgspec.json.decode(sys.stdin.buffer.read(), type=Noise))
    running = asyncio.create_task(loud.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    await asyncio.wait([running])
    if not running.cancelled():
        running.result()
    return loud.taken


if __name__ == "__main__":
    sys.stdout.write(f"{uvloop.run(_main())}\n")
