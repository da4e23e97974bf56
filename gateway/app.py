"""The ASGI application: webhooks go to the fast path, everything else to the REST API."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, cast

import structlog

from crossdock import config, process
from crossdock.config import Settings
from crossdock.errors import CrossdockError
from crossdock.inbound.stream.hub import Hub
from crossdock.memory import settle_memory
from crossdock.telemetry import logs, multiprocess
from crossdock.transforms.service import Sandbox
from gateway.asgi import Application, Receive, Scope, Send, answer, problem
from gateway.edge.headers import transport
from gateway.edge.layer import edged
from gateway.edge.unread import Drained
from gateway.ingest import HIDDEN, PREFIX
from gateway.limits import Metered
from gateway.problems import instance_of
from gateway.rest import create_rest
from gateway.runtime import Runtime, running

START_PATIENCE_S: Final = 10.0
"""A process takes no connections before it can serve them; only, a probe must be able to tell that
it lives, so after this it takes them anyway and says that it is starting."""

log = structlog.get_logger(__name__)

_WAIT: Final = (b"retry-after", b"1")
_ALIVE: Final = answer(200, "application/json", b'{"status":"ok"}')


def from_environment() -> Application:
    """Return the application of one gateway process; the server calls this in each of them."""
    process.die_with_parent()
    settings = config.load()
    logs.configure(settings.log, "gateway")
    multiprocess.sweep()
    return Gateway(settings)


def starting(public_url: str) -> Application:
    """Return what answers, with nothing open, what can be answered so."""
    promised = transport(public_url)

    async def wait(scope: Scope, _receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/health/live":
            await _ALIVE.send_to(send, *promised)
            return
        instance = HIDDEN if path.startswith(PREFIX) else instance_of(path)
        words = "The gateway is starting."
        done = problem(503, "unavailable", words, _WAIT, instance=instance)
        await done.send_to(send, *promised)

    return Drained(wait)


class Gateway:
    """Routes by the first letters of the path, before any framework sees the request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ingest: Application = starting(settings.gateway.public_url)
        self._rest = self._ingest
        self._ending = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._live_events: Hub | None = None
        self._sandbox: Sandbox | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request, or follow the process's life.

        Not a coroutine itself: that would be one more for each request.
        """
        kind = scope["type"]
        if kind == "http":
            if scope["path"].startswith(PREFIX):
                return self._ingest(scope, receive, send)
            return self._rest(scope, receive, send)
        if kind == "lifespan":
            return self._live(receive, send)
        return _refuse_websocket(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        opened = asyncio.Event()
        self._life = asyncio.create_task(self._run(opened), name="gateway")
        with _told_to_end() as told:
            waiting = [asyncio.create_task(event.wait()) for event in (opened, told)]
            await asyncio.wait(
                {self._life, *waiting},
                timeout=START_PATIENCE_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in waiting:
                task.cancel()
            if self._life.done():
                await send({"type": "lifespan.startup.failed", "message": ""})
                return
            await send({"type": "lifespan.startup.complete"})
            # The server waits for requests under way before it says that it ends: streams would
            # hold it up.
            ending = asyncio.create_task(self._end_streams(told), name="streams' end")
            await receive()
        ending.cancel()
        self._ending.set()
        if not opened.is_set():
            self._life.cancel()
        with suppress(asyncio.CancelledError):
            await self._life
        log.info("gateway_stopped")
        await send({"type": "lifespan.shutdown.complete"})

    async def _end_streams(self, told: asyncio.Event) -> None:
        """End live streams when the process is told to end."""
        await told.wait()
        if self._live_events is not None:
            self._live_events.drain()

    async def _run(self, opened: asyncio.Event) -> None:
        """Open, serve until told to end, close; what fails on the way ends the process."""
        try:
            async with running(self._settings) as runtime:
                self._serve(runtime)
                opened.set()
                await self._ending.wait()
                if self._live_events is not None:
                    await self._live_events.close()
                if self._sandbox is not None:
                    await self._sandbox.close()
        except CrossdockError as error:
            log.error("gateway_failed", reason=str(error))
        except Exception:
            log.exception("gateway_failed")
        else:
            return
        os.kill(os.getpid(), signal.SIGTERM)

    def _serve(self, runtime: Runtime) -> None:
        rest = create_rest(
            self._settings,
            runtime,
            runtime.meter,
            runtime.answers,
            runtime,
            outlook=runtime.breakers,
        )
        self._live_events = rest.state.live
        self._sandbox = rest.state.sandbox
        application = edged(cast("Application", rest), self._settings.gateway)
        self._rest = Metered(application, runtime.meter)
        self._ingest = runtime.ingest
        settle_memory()
        log.info("gateway_started", sources=runtime.directory.count)


@contextmanager
def _told_to_end() -> Iterator[asyncio.Event]:
    """Give an event that is set when the process is told to end.

    The server ends by itself then, but not before we say that we have started. It hears of signals
    through the loop, and goes on doing so: only what the interpreter calls is replaced.
    """
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def note(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(told.set)
        heard = previous[signal.Signals(number)]
        if callable(heard):
            heard(number, frame)

    for number in previous:
        signal.signal(number, note)
        signal.siginterrupt(number, False)  # noqa: FBT003 - it takes no keywords
    try:
        yield told
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
            signal.siginterrupt(number, False)  # noqa: FBT003


async def _refuse_websocket(receive: Receive, send: Send) -> None:
    """Nothing here speaks it."""
    await receive()
    await send({"type": "websocket.close", "code": 1003})
