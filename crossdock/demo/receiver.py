"""A receiver with three tempers, which checks signatures and keeps count of what really came."""

import time
from collections import Counter
from typing import Final

from aiohttp import web

from crossdock import native

STEADY: Final = "/steady"
MOODY: Final = "/moody"
BROKEN: Final = "/broken"
MOODY_FAILURES: Final = 2
"""How often the moody endpoint refuses an event before it takes it."""


class Receiver:
    """An HTTP server on loopback; the demo's figures are counted here and nowhere else.

    `steady` takes everything; `moody` refuses each event twice, then takes it; `broken` refuses all
    until `mend` is called.
    """

    def __init__(self) -> None:
        self.taken: dict[str, set[str]] = {STEADY: set(), MOODY: set(), BROKEN: set()}
        """Per endpoint, the ids answered with 2xx."""
        self.repeats = 0
        """Requests for an id that its endpoint had taken before: at least once allows them."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """(endpoint, id) -> how often it was refused."""
        self.unsigned = 0
        self.arrivals: list[tuple[float, float]] = []
        """At the steady endpoint: when, and how many seconds after the moment in the event's id."""
        self._verifiers: dict[str, native.Source] = {}
        self._broken = True
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        app = web.Application()
        for path in self.taken:
            app.router.add_post(path, self._receive)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    def expect(self, path: str, secret: str) -> None:
        """Tell the signing secret of the destination that points at `path`."""
        recipe = b'{"scheme":"standard","secrets":["%s"]}' % secret.encode()
        self._verifiers[path] = native.Source(recipe)

    def mend(self) -> None:
        """Let the broken endpoint work from now on."""
        self._broken = False

    @property
    def retried(self) -> int:
        """Attempts beyond each event's first, as seen here."""
        again = sum(count - 1 for count in self.refused.values())
        taken_later = sum(
            1 for path, ids in self.taken.items() for id_ in ids if (path, id_) in self.refused
        )
        return again + taken_later

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._is_signed(request, body):
            self.unsigned += 1
            return web.Response(status=401)
        path, event_id = request.path, request.headers["webhook-id"]
        if self._refuses(path, event_id):
            self.refused[path, event_id] += 1
            return web.Response(status=503)
        if event_id in self.taken[path]:
            self.repeats += 1
        elif path == STEADY:
            made = int.from_bytes(native.typeid_parse("evt", event_id)[:6], "big") / 1000
            now = time.time()
            self.arrivals.append((now, now - made))
        self.taken[path].add(event_id)
        return web.Response(status=204)

    def _refuses(self, path: str, event_id: str) -> bool:
        if path == MOODY:
            return self.refused[path, event_id] < MOODY_FAILURES
        return path == BROKEN and self._broken

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        verifier = self._verifiers.get(request.path)
        if verifier is None:
            return False
        headers = [(name.lower(), value) for name, value in request.raw_headers]
        verdict = verifier.verify("POST", str(request.url), headers, body, time.time())
        return verdict.refusal is None
