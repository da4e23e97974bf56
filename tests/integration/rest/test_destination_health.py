"""`GET /v1/destinations/{id}/health`, by what workers tell each other over a real broker."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, cast

import httpx
import pytest

from crossdock import ids
from crossdock.breakers.model import Policy, Scope, scope
from crossdock.breakers.reader import Readers
from crossdock.bus import connect
from crossdock.config import NatsSettings, Settings
from crossdock.db import Databases
from gateway.identity import Identity
from gateway.rest import create_rest
from proto.subjects import breakers_bucket
from tests.beds.breakers import Crowd, Member
from tests.beds.delivery import until
from tests.beds.open_runtime import OpenRuntime
from tests.integration.rest.conftest import Caller

URL = "https://Hooks.example.com/in"
STEADY = Policy(first_rest_s=300.0)


@pytest.fixture
async def worker(nats_settings: NatsSettings) -> AsyncIterator[Member]:
    """A worker's breakers."""
    async with AsyncExitStack() as stack:
        yield await Crowd(stack, nats_settings, breakers_bucket(0)).member(STEADY)


@pytest.fixture
async def api(
    settings: Settings,
    database: Databases,
    identity: Identity,
    nats_settings: NatsSettings,
    alice: Caller,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway that hears workers."""
    bus = await connect(nats_settings, name="gateway")
    readers = Readers(bus)
    app = create_rest(settings, OpenRuntime(database, identity), outlook=readers)
    headers = {"authorization": alice.http.headers["authorization"]}
    transport = httpx.ASGITransport(cast("Any", app))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://api", headers=headers
    ) as client:
        yield client
    await readers.close()
    await bus.close()


async def make(api: httpx.AsyncClient, **options: Any) -> str:
    answer = await api.post("/v1/destinations", json={"name": ids.new().hex, "url": URL} | options)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


async def health(api: httpx.AsyncClient, destination: str) -> dict[str, Any]:
    answer = await api.get(f"/v1/destinations/{destination}/health")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def whom(alice: Caller, destination: str) -> Scope:
    return scope(
        "destination", alice.tenant_id, ids.decode("dst", destination), "hooks.example.com:443"
    )


async def test_a_breaker_that_opens_and_a_pause_are_seen(
    api: httpx.AsyncClient, worker: Member, alice: Caller
) -> None:
    well, broken = await make(api), await make(api)
    worker.fail(whom(alice, broken))
    worker.breakers.pause(whom(alice, well), 100)

    async def is_seen() -> bool:
        return bool((await health(api, broken))["breaker"] == "open")

    await until(is_seen)
    seen = await health(api, broken)
    assert seen["failure_rate"] == 1.0
    assert seen["since"] < seen["until"]
    assert (seen["paused_until"], seen["waiting"], seen["is_capped"]) == (None, 0, False)

    async def is_paused() -> bool:
        return (await health(api, well))["paused_until"] is not None

    await until(is_paused)
    seen = await health(api, well)
    assert (seen["breaker"], seen["since"], seen["failure_rate"]) == ("closed", None, None)


@pytest.mark.parametrize(("mode", "shown"), [("open", "forced-open"), ("off", "off")])
async def test_what_is_set_by_hand_is_told_whatever_workers_say(
    api: httpx.AsyncClient, worker: Member, alice: Caller, mode: str, shown: str
) -> None:
    made = await make(api, breaker=mode)
    worker.fail(whom(alice, made))
    await until(lambda: not worker.sharing.untold)
    seen = await health(api, made)
    assert (seen["breaker"], seen["until"], seen["failure_rate"]) == (shown, None, None)


async def test_a_gateway_that_hears_no_worker_says_so(alice: Caller) -> None:
    made = await make(alice.http)
    assert (await health(alice.http, made))["breaker"] == "unknown"


async def test_nobody_sees_another_tenant_s(alice: Caller, bob: Caller) -> None:
    made = await make(alice.http)
    answer = await bob.http.get(f"/v1/destinations/{made}/health")
    assert answer.status_code == 404
