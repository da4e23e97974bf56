"""`/health`: for load balancers, orchestrators and people in a hurry. Public."""

from typing import Final, Literal

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example

from crossdock.health import Component, Health


class Live(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True):
    """Whether webhooks sent here can be taken."""

    status: Literal["ready", "not-ready"]


class Components(msgspec.Struct, frozen=True):
    """What this gateway leans on."""

    components: dict[str, Component]


NOT_READY: Final = ResponseSpec(
    Ready, description="Not ready.", examples=[Example(value={"status": "not-ready"})]
)


class HealthController(Controller):
    """Health."""

    path = "/health"
    tags = ("Health",)

    @get("/live", public=True, unmetered=True)
    async def get_liveness(self) -> Live:
        """Tell that the process runs; a restart is in order where this fails."""
        return Live()

    @get("/ready", public=True, unmetered=True, responses={503: NOT_READY})
    async def get_readiness(self, health: NamedDependency[Health]) -> Response[Ready]:
        """Tell whether to send webhooks here: 503 while the broker is away, or while draining."""
        if await health.is_ready():
            return Response(Ready("ready"))
        return Response(Ready("not-ready"), status_code=503)

    @get("/components", public=True, unmetered=True)
    async def get_components(self, health: NamedDependency[Health]) -> Components:
        """Tell which components answer, how fast, and since when."""
        return Components(await health.components())
