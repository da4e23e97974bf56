"""A worker's own port: health for orchestrators, metrics for Prometheus. Loopback unless told."""

from typing import Final

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from crossdock.config import WorkerSettings
from crossdock.errors import ConfigurationError
from crossdock.health import Health
from crossdock.telemetry import metrics as known

_TALLIED: Final = (known.PUBLISH_SECONDS, known.DELIVERY_SECONDS, known.DELIVERY_LATENCY_SECONDS)


async def serve(settings: WorkerSettings, health: Health) -> web.AppRunner:
    """Listen; the caller cleans up.

    Raises:
        ConfigurationError: the port is somebody else's.
    """
    app = web.Application()

    async def live(_: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def ready(_: web.Request) -> web.Response:
        if await health.is_ready():
            return _json({"status": "ready"})
        return _json({"status": "not-ready"}, status=503)

    async def components(_: web.Request) -> web.Response:
        return _json({"components": await health.components()})

    async def metrics(_: web.Request) -> web.Response:
        for tallied in _TALLIED:
            tallied.hand_over()
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", ready)
    app.router.add_get("/health/components", components)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.metrics_host, settings.metrics_port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigurationError(
            f"The worker's health and metrics can't be served at {settings.metrics_host}:"
            f"{settings.metrics_port} ({error.strerror}): see CROSSDOCK_WORKER__METRICS_PORT."
        ) from error
    return runner


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )
