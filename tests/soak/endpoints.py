"""The tenants' endpoints in a soak: they remember who came and when, and no bodies."""

import asyncio
from collections import Counter, defaultdict
from time import monotonic
from typing import Any, Self

from aiohttp import web

from tests.faults.receiver import SERIAL
from tests.soak.ways import SLOW_S


class Endpoints:
    """One server for all; the last part of the path says how it behaves."""

    def __init__(self) -> None:
        self.url = ""
        self.taken: dict[str, str] = {}
        """Serial -> the event id under which it was first taken."""
        self.taken_at: dict[str, float] = {}
        self.others: defaultdict[str, set[str]] = defaultdict(set)
        """Serial -> further event ids under which it was taken; there should be none."""
        self.repeats = 0
        self.tries: Counter[str] = Counter()
        """By way."""
        self.lines: list[str] = []
        """Serials of ordered events as they were tried."""
        self.odd: list[str] = []
        """What came to the wrong place, or in the wrong shape."""
        self._seen: set[str] = set()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{tenant}/{way}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        way, event_id = request.match_info["way"], request.headers["webhook-id"]
        match = SERIAL.search(body)
        serial = match[0].decode() if match else ""
        self.tries[way] += 1
        if way == "ordered":
            self.lines.append(serial)
        is_first = serial not in self._seen
        if way == "down":
            return web.Response(status=500)
        if way in {"moody", "ordered"} and is_first and int(serial[-1], 16) < 4:
            self._seen.add(serial)
            return web.Response(status=503)
        if way == "slow":
            await asyncio.sleep(SLOW_S)
        self._judge(way, body, serial)
        self._keep(serial, event_id)
        return web.Response(status=204)

    def _keep(self, serial: str, event_id: str) -> None:
        if serial not in self.taken:
            self.taken[serial] = event_id
            self.taken_at[serial] = monotonic()
        elif self.taken[serial] == event_id:
            self.repeats += 1
        else:
            self.others[serial].add(event_id)

    def _judge(self, way: str, body: bytes, serial: str) -> None:
        """Write down what should not have come like that."""
        is_made = b'"size":' in body
        is_unwanted = b'"wanted":false' in body
        if not serial or is_made != (way == "transformed") or is_unwanted:
            self.odd.append(f"{way}: {body[:120]!r}")

    def numbers(self) -> dict[str, Any]:
        """Return what is worth reporting."""
        return {"taken": len(self.taken), "repeats": self.repeats, "tries": dict(self.tries)}
