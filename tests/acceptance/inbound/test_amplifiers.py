"""Simulations and test sends: no way to read, to call or to spend what is not theirs to."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from aiohttp import web

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.answers import refused
from tests.acceptance.inbound.feed import Feed, open_feed
from tests.acceptance.inbound.registry import register
from tests.faults.rest import Rest

SIMULATIONS: Final = "/v1/simulations"
CROWD: Final = 60
AT_ONCE: Final = 40
"""Calls of simulations that one tenant may have under way; the crowd would make 300."""


@asynccontextmanager
async def narrow(house: House, *permissions: str) -> AsyncIterator[Rest]:
    """Let somebody call who may do this and no more."""
    wish = {"name": new_serial(), "permissions": list(permissions)}
    caller = house.stack.rest((await house.rest.post("/v1/api-keys", wish))["key"])
    try:
        yield caller
    finally:
        await caller.__aexit__()


async def test_who_may_not_read_events_is_told_nothing_of_one(house: House) -> None:
    feed = await open_feed(house)
    made = await register(house, "warn")
    event_id = await feed.judged(made["name"], "warned", total="told to nobody")
    wish = {"source_id": feed.id, "event_id": event_id}

    async with narrow(house, "sources:write", "deliveries:write", "sources:read") as caller:
        reply = await caller.call("POST", SIMULATIONS, wish)

    assert "told to nobody" not in reply.body.decode()
    refused(reply, 403, "forbidden")


@asynccontextmanager
async def slow_endpoint() -> AsyncIterator[tuple[str, list[int]]]:
    """Give the URL of an endpoint that answers late, and how many wait there, now and at most."""
    waiting = [0, 0]

    async def answer(_request: web.Request) -> web.Response:
        waiting[0] += 1
        waiting[1] = max(waiting)
        await asyncio.sleep(0.5)
        waiting[0] -= 1
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}", waiting
    finally:
        await runner.cleanup()


async def test_simulations_call_no_crowd_of_endpoints_at_once(house: House) -> None:
    door = await house.door("github")
    async with slow_endpoint() as (url, waiting):
        for number in range(5):
            wish = {"name": new_serial(), "url": f"{url}/{number}"}
            await house.rest.post("/v1/destinations", wish | {"source_ids": [door.source["id"]]})
        asked = {"source_id": door.source["id"], "sample": None, "deliver": True}
        asked["sample"] = (await house.rest.get("/v1/source-presets/github"))["samples"][0]["name"]
        callers = [house.stack.rest(house.key) for _ in range(CROWD)]
        try:
            replies = await asyncio.gather(
                *(caller.call("POST", SIMULATIONS, asked) for caller in callers)
            )
        finally:
            for caller in callers:
                await caller.__aexit__()

    for reply in replies:
        if reply.status != 200:
            refused(reply, {429, 503})
            assert int(reply.headers["retry-after"]) >= 1
    assert 200 in {reply.status for reply in replies}
    assert waiting[1] <= AT_ONCE


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://[::ffff:10.0.0.1]/"],
)
async def test_a_simulation_goes_nowhere_that_a_delivery_may_not(house: House, url: str) -> None:
    wish = {"name": new_serial(), "url": url}

    refused(await house.rest.call("POST", "/v1/destinations", wish), 422)


@pytest.fixture(scope="module")
async def open_door(house: House) -> Feed:
    """A source that a simulation can be pasted for, and its endpoint."""
    return await open_feed(house)


@pytest.mark.parametrize(
    "content_type", ["a/b\r\nx-injected: 1", "a/b\nx-injected: 1", "é/b", "a/b\x00", "x" * 20_000]
)
async def test_a_pasted_content_type_is_no_header_of_a_delivery(
    house: House, open_door: Feed, content_type: str
) -> None:
    webhook = open_door.door.webhook()
    headers = webhook.headers | {"content-type": content_type}
    body = base64.b64encode(webhook.body).decode()
    wish: dict[str, Any] = {"source_id": open_door.id, "deliver": True}

    reply = await house.rest.call(
        "POST", SIMULATIONS, wish | {"request": {"headers": headers, "body_base64": body}}
    )

    assert reply.status in {200, 400, 422}, reply
    for arrival in open_door.came():
        assert "x-injected" not in arrival.headers
        assert len(arrival.headers.get("content-type", "")) < 9_000


async def test_a_simulated_delivery_is_told_from_a_real_one(house: House) -> None:
    feed = await open_feed(house)
    stored = await feed.send("simulated.event")
    await feed.arrived(stored)

    await house.rest.post(
        SIMULATIONS, {"source_id": feed.id, "event_id": stored.id, "deliver": True}
    )

    assert {arrival.event_id for arrival in feed.came()} == {stored.id}, (
        "The same id: a receiver that has it takes it for the repeat that it is."
    )


async def test_test_sends_use_up_what_webhooks_use_up(house: House) -> None:
    door = await house.door("github", webhooks_per_minute=3)
    path = f"/v1/sources/{door.source['id']}/test"

    told = [(await house.rest.call("POST", path)).ok() for _ in range(6)]

    assert [one["status"] for one in told][:3] == [202] * 3
    assert told[-1]["status"] == 429
    assert told[-1]["problem"]["violated-policies"] == ["source"]


async def test_what_is_suspended_sends_no_tests(house: House, neighbour: House) -> None:
    door = await neighbour.door("github")
    async with narrow(neighbour, "sources:read") as reader:
        path = f"/v1/sources/{door.source['id']}/test"
        refused(await reader.call("POST", path), 403, "forbidden")
        refused(await reader.call("POST", SIMULATIONS, {"source_id": door.source["id"]}), 403)
