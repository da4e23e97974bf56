"""A request is its caller's tenant's from the guard on, and nobody's when it is over."""

import asyncio
from typing import Annotated, Any, cast
from uuid import UUID

import httpx
import pytest
import structlog
from litestar import get
from litestar.params import PathParameter

from crossdock import context, ids
from gateway.rest import create_rest
from tests.beds.open_runtime import OpenRuntime

OTHER = UUID(int=1)


class Probe:
    """Routes that tell what they see, and do what no handler should."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.meeting = asyncio.Barrier(2)
        self.entered = asyncio.Event()
        self.tenant = ""

    def routes(self) -> list[Any]:
        def seen() -> dict[str, Any]:
            bound = context.current()
            tenant = None if bound is None else ids.encode("ten", bound)
            return {"bound": tenant, **structlog.contextvars.get_contextvars()}

        @get("/v1/probe/public", public=True)
        async def look_openly() -> dict[str, Any]:
            return seen()

        @get("/v1/probe/mine", permissions=frozenset())
        async def look() -> dict[str, Any]:
            return seen()

        @get("/v1/probe/meet", permissions=frozenset())
        async def meet() -> dict[str, Any]:
            before = seen()
            await self.meeting.wait()
            assert seen() == before
            return before

        @get("/v1/probe/break", permissions=frozenset())
        async def fall() -> None:
            raise RuntimeError

        @get("/v1/probe/hang", permissions=frozenset())
        async def hang() -> None:
            self.entered.set()
            await asyncio.Event().wait()

        @get("/v1/probe/reach/{tenant_id:str}", permissions=frozenset())
        async def reach(tenant_id: Annotated[str, PathParameter()]) -> None:
            async with self.database.tenant(ids.decode("ten", tenant_id)):
                raise AssertionError

        return [look_openly, look, meet, fall, hang, reach]


@pytest.fixture(scope="module")
def probe(database: Any) -> Probe:
    return Probe(database)


@pytest.fixture(scope="module")
async def probed(settings: Any, database: Any, identity: Any, probe: Probe) -> Any:
    app = create_rest(settings, OpenRuntime(database, identity))
    for route in probe.routes():
        app.register(route)
    transport = httpx.ASGITransport(cast("Any", app))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def wire(tenant_id: UUID) -> str:
    return ids.encode("ten", tenant_id)


async def test_it_is_the_callers_whatever_they_call_with(
    probed: Any, alice: Any, bob: Any, crowd: Any
) -> None:
    member = await crowd.user(bob.tenant_id, "viewer")
    seen = set()
    for token, tenant_id in (
        (alice.key, alice.tenant_id),
        (bob.key, bob.tenant_id),
        (member.token, bob.tenant_id),
        (alice.key, alice.tenant_id),
    ):
        found = (await probed.get("/v1/probe/mine", headers=bearing(token))).json()
        assert found["bound"] == found["tenant"] == wire(tenant_id)
        seen.add(found["request"])
    assert len(seen) == 4


async def test_nothing_is_left_for_the_next_request_of_the_same_task(
    probed: Any, alice: Any
) -> None:
    """The transport calls the application in this very task, as a server might."""
    for path in ("/v1/probe/mine", "/v1/probe/break", "/v1/nothing", "/v1/users/x"):
        await probed.get(path, headers=bearing(alice.key))
        assert context.current() is None
        assert not structlog.contextvars.get_contextvars()
        found = (await probed.get("/v1/probe/public")).json()
        assert found["bound"] is None
        assert "tenant" not in found


async def test_a_cancelled_request_leaves_nothing(probed: Any, probe: Probe, alice: Any) -> None:
    left: list[Any] = []

    async def ask() -> None:
        try:
            await probed.get("/v1/probe/hang", headers=bearing(alice.key))
        finally:
            left.append((context.current(), structlog.contextvars.get_contextvars()))

    asking = asyncio.create_task(ask())
    await probe.entered.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert left == [(None, {})]


async def test_what_a_server_left_in_the_task_is_not_the_requests(probed: Any, alice: Any) -> None:
    with context.bound(OTHER), structlog.contextvars.bound_contextvars(tenant="ten_other"):
        found = (await probed.get("/v1/probe/public")).json()
        assert found["bound"] is None
        assert "tenant" not in found
        found = (await probed.get("/v1/probe/mine", headers=bearing(alice.key))).json()
        assert found["bound"] == wire(alice.tenant_id)
        assert context.current() == OTHER


async def test_requests_that_overlap_keep_their_own(probed: Any, alice: Any, bob: Any) -> None:
    answers = await asyncio.gather(
        *(probed.get("/v1/probe/meet", headers=bearing(one.key)) for one in (alice, bob))
    )
    assert [answer.json()["bound"] for answer in answers] == [
        wire(alice.tenant_id),
        wire(bob.tenant_id),
    ]


async def test_a_handler_that_reaches_for_another_tenant_falls(
    probed: Any, alice: Any, bob: Any
) -> None:
    path = f"/v1/probe/reach/{wire(bob.tenant_id)}"
    answer = await probed.get(path, headers=bearing(alice.key))
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal")
