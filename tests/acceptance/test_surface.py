"""What is open, and to whom: what comes before a credential to anyone, all else with one."""

from typing import Any

import aiohttp
import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.openapi import Operation, operations
from tests.beds.routes import PUBLIC
from tests.faults.rest import Rest
from tests.faults.waiting import until

HEALTH = {path for _, path in PUBLIC if path.startswith("/health/")}
ANY_CREDENTIAL = "/v1/auth/me"


@pytest.fixture(scope="module")
async def all_operations(house: House) -> list[Operation]:
    return await operations(house.rest)


async def test_health_answers_anyone(house: House) -> None:
    for path in HEALTH:
        reply = await house.anyone.call("GET", path)
        assert reply.status == 200, reply
    components = await house.anyone.get("/health/components")
    told = str(components)
    assert "127.0.0.1" not in told
    assert "password" not in told


async def test_nothing_else_answers_without_a_credential(
    house: House, all_operations: list[Operation]
) -> None:
    assert len(all_operations) > 20
    for operation in all_operations:
        path = operation.with_ids(dict.fromkeys(operation.parameters, "x"))
        reply = await house.anyone.call(operation.method, path, {} if operation.has_body else None)
        if (operation.method, operation.path) in PUBLIC:
            assert reply.status in {200, 422}, (operation, reply)
            continue
        assert reply.status == 401, (operation, reply)
        assert reply.headers["content-type"].startswith("application/problem+json")


def test_the_document_says_what_is_open(all_operations: list[Operation]) -> None:
    public = {(one.method, one.path) for one in all_operations if one.access == "public"}
    assert public == PUBLIC


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/sources/",
        "/v1/nothing",
        "/admin",
        "/metrics",
        "/metrics/",
        "/debug",
        "/in",
        "/in/",
        "/.env",
        "/health",
        "/health/secrets",
        "/static/../../etc/passwd",
        "//v1/sources",
        "/V1/sources",
        "/v1/sources%2f",
        "/in/../v1/sources",
    ],
)
async def test_no_path_is_open_by_mistake(house: House, path: str) -> None:
    for method in ("GET", "POST"):
        reply = await house.anyone.call(method, path)
        assert reply.status in {400, 401, 404, 405}, (method, reply)
        assert b"# HELP" not in reply.body


async def test_metrics_are_not_served_to_the_public(house: House) -> None:
    for caller in (house.anyone, house.rest):
        reply = await caller.call("GET", "/metrics")
        assert reply.status in {401, 404}, reply
        assert b"crossdock_" not in reply.body


def _keys(key: str) -> list[str]:
    return [
        "x",
        key[:-1],
        key + "x",
        key[:-1] + ("A" if key[-1] != "A" else "B"),
        key.replace("_dev_", "_prod_"),
        key.upper(),
        "cdk_dev_" + "A" * 92,
        "\u00e9",
        " " + key + " x",
        "a" * 5000,
    ]


async def test_a_wrong_key_opens_nothing(house: House) -> None:
    assert (await house.rest.call("GET", "/v1/sources")).status == 200
    for key in _keys(house.key):
        async with Rest(house.stack.url, key) as caller:
            reply = await caller.call("GET", "/v1/sources")
            assert reply.status == 401, (key, reply)
    for header in (house.key, f"Basic {house.key}", f"Bearer  {house.key}x", "Bearer", "bearer "):
        reply = await house.anyone.call("GET", "/v1/sources", headers={"authorization": header})
        assert reply.status == 401, (header, reply)


async def test_a_revoked_key_opens_nothing(house: House) -> None:
    wish = {"name": "short-lived", "permissions": ["sources:read"]}
    made = await house.rest.post("/v1/api-keys", wish)
    async with Rest(house.stack.url, made["key"]) as caller:
        assert (await caller.call("GET", "/v1/sources")).status == 200
        await house.rest.call("DELETE", f"/v1/api-keys/{made['id']}")

        async def is_shut() -> bool:
            return (await caller.call("GET", "/v1/sources")).status == 401

        await until(is_shut, "an end of the revoked key", within=2)


async def test_a_key_opens_what_it_permits_and_no_more(
    house: House, all_operations: list[Operation]
) -> None:
    wish = {"name": "narrow", "permissions": ["sources:read"]}
    made = await house.rest.post("/v1/api-keys", wish)
    async with Rest(house.stack.url, made["key"]) as caller:
        assert (await caller.call("GET", "/v1/sources")).status == 200
        for operation in all_operations:
            if operation.access == "public" or operation.path == ANY_CREDENTIAL:
                continue
            if operation.permissions == {"sources:read"}:
                continue
            path = operation.with_ids(dict.fromkeys(operation.parameters, "x"))
            reply = await caller.call(operation.method, path, {} if operation.has_body else None)
            assert reply.status == 403, (operation, reply)
        more = {"name": "wider", "permissions": ["sources:read", "sources:write"]}
        assert (await caller.call("POST", "/v1/api-keys", more)).status == 403


async def test_secrets_are_shown_once(house: House) -> None:
    door = await house.door("stripe")
    made = await house.destination("/secret", source_ids=[door.source["id"]])
    generated = await house.rest.post("/v1/sources", {"name": new_serial(), "scheme": "stripe"})
    hidden = [door.provider.secret, made["secret"], generated["secret"], house.key]
    assert all(hidden)
    for path in (
        "/v1/sources",
        f"/v1/sources/{door.source['id']}",
        f"/v1/sources/{generated['id']}",
        "/v1/destinations",
        f"/v1/destinations/{made['id']}",
        "/v1/api-keys",
        "/v1/tenant",
    ):
        told = (await house.rest.call("GET", path)).body.decode()
        assert not any(secret in told for secret in hidden), path


async def test_nothing_secret_is_logged(house: House) -> None:
    door = await house.door("stripe")
    made = await house.destination("/logged", source_ids=[door.source["id"]])
    webhook = door.webhook(headers={"cookie": "cookie-secret"})
    await door.accepted(webhook)
    await door.post(webhook._replace(body=webhook.body + b" "))
    await house.receiver.first(webhook.serial, path="/logged")

    told = house.stack.log.read_text(errors="replace")

    token = door.url.rpartition("/")[2]
    for secret in (door.provider.secret, made["secret"], house.key, "cookie-secret", token):
        assert secret not in told


async def test_metrics_have_a_port_of_their_own(house: House) -> None:
    await (await house.door("stripe")).accepted()
    state = house.stack.state()
    async with aiohttp.ClientSession() as session:
        for program, name in (
            ("gateway", "crossdock_ingest_accepted_total"),
            ("worker", "crossdock_persist_events_total"),
        ):
            where = state["settings"][program]
            url = f"http://{where.get('metrics_host', '127.0.0.1')}:{where['metrics_port']}/metrics"
            async with session.get(url) as answer:
                told = await answer.text()
                assert answer.status == 200
                assert f"\n{name}" in told


def test_the_document_is_openapi_3_1(house: House, all_operations: list[Operation]) -> None:
    roots = {operation.path.split("/")[1] for operation in all_operations}
    assert roots == {"v1", "health", ".well-known"}
    wanted = {"sources", "destinations", "events", "deliveries", "dead-letters", "replays"}
    assert wanted <= _resources(all_operations)


def _resources(found: list[Operation]) -> set[Any]:
    return {operation.path.split("/")[2] for operation in found if operation.path.count("/") > 1}
