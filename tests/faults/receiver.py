"""A tenant's endpoint on loopback, which writes down all that reaches it."""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final, NamedTuple, Self

from aiohttp import web

from tests.faults.waiting import until

SERIAL: Final = re.compile(rb"01[0-9a-f]{30}")
"""The samples' serials stand out of any body."""
TAKEN: Final = 204


class Arrival(NamedTuple):
    """One request."""

    path: str
    event_id: str
    """Its `webhook-id`."""
    serial: str
    headers: Mapping[str, str]
    """In lower case."""
    body: bytes
    at: float
    """By the monotonic clock."""
    status: int
    """What was answered."""


Temper = Callable[[str, int], int | tuple[int, Mapping[str, str]]]
"""What to answer an event, given how often it was here before."""


class Receiver:
    """Takes everything, unless a path was given a temper of its own."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.url = ""
        self.most: Counter[str] = Counter()
        """By path, how many requests there were at once at the most."""
        self._flying: Counter[str] = Counter()
        self._delays: dict[str, float] = {}
        self._seen: Counter[tuple[str, str]] = Counter()
        self._tempers: dict[str, Temper] = {}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 1024**2)
        app.router.add_route("*", "/{tail:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def answer(self, path: str, temper: Temper) -> None:
        """Give a path its own way of answering."""
        self._tempers[path] = temper

    def slow(self, path: str, seconds: float) -> None:
        """Let a path take its time for each answer."""
        self._delays[path] = seconds

    def at(self, path: str) -> list[Arrival]:
        """Return what came to a path."""
        return [arrival for arrival in self.arrivals if arrival.path == path]

    def of(self, serial: str) -> list[Arrival]:
        """Return what came of one webhook."""
        return [arrival for arrival in self.arrivals if arrival.serial == serial]

    def taken(self) -> dict[str, set[str]]:
        """Return for each serial the event ids under which it was taken."""
        found: dict[str, set[str]] = defaultdict(set)
        for arrival in self.arrivals:
            if arrival.status < 300:
                found[arrival.serial].add(arrival.event_id)
        return found

    async def first(self, serial: str, *, path: str | None = None, within: float = 20) -> Arrival:
        """Return the first taken arrival of a webhook, waiting for it."""

        def found() -> Arrival | None:
            return next(
                (
                    arrival
                    for arrival in self.of(serial)
                    if arrival.status < 300 and path in {None, arrival.path}
                ),
                None,
            )

        arrival = await until(
            found, f"a delivery of {serial} to {path or 'anywhere'}", within=within
        )
        assert arrival is not None
        return arrival

    async def _receive(self, request: web.Request) -> web.Response:
        self._flying[request.path] += 1
        self.most[request.path] = max(self.most[request.path], self._flying[request.path])
        try:
            return await self._answer(request)
        finally:
            self._flying[request.path] -= 1

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        event_id = request.headers.get("webhook-id", "")
        key = (request.path, event_id)
        earlier, self._seen[key] = self._seen[key], self._seen[key] + 1
        said = self._tempers.get(request.path, _take)(event_id, earlier)
        status, headers = (said, {}) if isinstance(said, int) else said
        match = SERIAL.search(body)
        self.arrivals.append(
            Arrival(
                path=request.path,
                event_id=event_id,
                serial=match[0].decode() if match else "",
                headers={name.lower(): value for name, value in request.headers.items()},
                body=body,
                at=monotonic(),
                status=status,
            )
        )
        if delay := self._delays.get(request.path):
            await asyncio.sleep(delay)
        return web.Response(status=status, headers=headers)


def _take(_event_id: str, _earlier: int) -> int:
    return TAKEN
