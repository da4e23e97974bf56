"""The ASGI application: webhooks go to the fast path, everything else to the REST API."""

from contextlib import AbstractAsyncContextManager
from typing import cast

import structlog

from crossdock import config
from crossdock.config import Settings
from crossdock.errors import CrossdockError
from crossdock.telemetry import logs, multiprocess
from gateway import process
from gateway.asgi import Application, Receive, Scope, Send, problem
from gateway.ingest import PREFIX, Ingest
from gateway.rest import create_rest
from gateway.runtime import Runtime, running

log = structlog.get_logger(__name__)

_STARTING = problem(503, "unavailable", "The gateway is starting.", (b"retry-after", b"1"))


def from_environment() -> Application:
    """Return the application of one gateway process; the server calls this in each of them."""
    process.die_with_parent()
    settings = config.load()
    logs.configure(settings.log, "gateway")
    multiprocess.sweep()
    return Gateway(settings)


class Gateway:
    """Routes by the first letters of the path, before any framework sees the request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ingest: Ingest | None = None
        self._rest: Application | None = None
        self._open: AbstractAsyncContextManager[Runtime] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the process's life."""
        kind = scope["type"]
        if kind == "http":
            if self._ingest is None or self._rest is None:
                await _STARTING.send_to(send)
            elif scope["path"].startswith(PREFIX):
                await self._ingest(scope, receive, send)
            else:
                await self._rest(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)
        else:  # a WebSocket, which nothing here speaks
            await receive()
            await send({"type": "websocket.close", "code": 1003})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            try:
                if event["type"] == "lifespan.startup":
                    await self._start()
                    await send({"type": "lifespan.startup.complete"})
                else:
                    await self._stop()
                    await send({"type": "lifespan.shutdown.complete"})
                    return
            except CrossdockError as error:
                log.error("gateway_failed", reason=str(error))
                await send({"type": f"{event['type']}.failed", "message": str(error)})
                return

    async def _start(self) -> None:
        self._open = running(self._settings)
        runtime = await self._open.__aenter__()
        self._rest = cast("Application", create_rest(self._settings, runtime))
        self._ingest = runtime.ingest
        log.info("gateway_started", sources=runtime.directory.count)

    async def _stop(self) -> None:
        if self._open is not None:
            await self._open.__aexit__(None, None, None)
        log.info("gateway_stopped")
