"""The quiet tenant: publishes at an even pace, and receives what it published.

`python -m bench.fairness.probe` takes a `Probe` on standard input and prints a `Probed`. Sender and
receiver are one process, so that one clock measures; the pace does not wait for answers.
"""

import asyncio
import random
import sys
import time
from contextlib import suppress
from typing import Final

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from bench.fairness.world import QUIET_PER_S, Probe, Probed, body

LATE_S: Final = 30.0
"""How long what is on its way is waited for at the end."""


class _Quiet:
    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._sent_at: dict[int, float] = {}
        self._took_s: dict[int, float] = {}
        self._refused = 0

    async def run(self) -> Probed:
        runner = web.AppRunner(self._app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._probe.port).start()
        chance = random.Random(0)  # noqa: S311 - a bench
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as sending:
            began = time.perf_counter()
            for number in range(int(self._probe.seconds * QUIET_PER_S)):
                # Anywhere within its turn: in step with others' batches it would meet all, or none.
                due = began + (number + chance.random()) / QUIET_PER_S
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                sending.create_task(self._send(session, number))
        with suppress(TimeoutError):
            async with asyncio.timeout(LATE_S):
                while len(self._took_s) < len(self._sent_at):  # noqa: ASYNC110 - a bench
                    await asyncio.sleep(0.01)
        await runner.cleanup()
        took = sorted(1000 * seconds for seconds in self._took_s.values())
        return Probed(len(self._sent_at), self._refused, took)

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        number = msgspec.json.decode(await request.read())["number"]
        # What came late in an earlier measurement is no part of this one.
        if number in self._sent_at and number not in self._took_s:
            self._took_s[number] = time.perf_counter() - self._sent_at[number]
        return web.Response(status=204)

    async def _send(self, session: aiohttp.ClientSession, number: int) -> None:
        serial = time.time_ns() * 1000 + number
        self._sent_at[serial] = time.perf_counter()
        async with session.post(
            f"{self._probe.url}/v1/events",
            json={"id": str(serial), "event_type": "invoice.paid", "payload": body(serial)},
            headers={"authorization": f"Bearer {self._probe.key}"},
        ) as answer:
            if answer.status != 202:
                del self._sent_at[serial]
                self._refused += 1


if __name__ == "__main__":
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=Probe)
    sys.stdout.write(msgspec.json.encode(uvloop.run(_Quiet(told).run())).decode() + "\n")
