"""Everybody of tenant A with all of tenant B's ids: refused everywhere, and nothing changes.

The routes, and whom each is for, come from the live OpenAPI document. A route with an id in its
path that is not known here fails the test until somebody says what id of B's belongs there.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.estate import (
    EVERYBODYS,
    Estate,
    Stranger,
    belongings,
    enter,
    join,
    lists,
    settle,
    stranger,
)
from tests.acceptance.house import House, open_house
from tests.acceptance.identity.people import Person, Town
from tests.acceptance.openapi import Operation, operations
from tests.beds.routes import NOBODYS
from tests.faults.receiver import Receiver
from tests.faults.rest import Reply, Rest
from tests.faults.stack import Stack
from tests.faults.waiting import until

NAMES = {404: "not-found", 403: "forbidden"}
RENAMED = {"name": "taken over"}
DESCRIBED = {"description": "taken over"}
BODIES: dict[str, Any] = {
    "/v1/event-types/{event_type_id}": DESCRIBED,
    "/v1/event-types/{event_type_id}/check": {"schema": {}},
    "/v1/event-types/{event_type_id}/validate": {"payload": 1},
    "/v1/roles/{role_id}": DESCRIBED,
}
"""Where a name is not what can be changed, and nothing would not do."""
MAY_BE_EMPTY = {"/v1/alerts", "/v1/retention/drops"}
"""What a tenant does not have just because it was used."""


@pytest.fixture(scope="module")
async def all_operations(house: House) -> list[Operation]:
    return await operations(house.rest)


@pytest.fixture(scope="module")
async def town(stack: Stack) -> AsyncIterator[Town]:
    async with Town(stack) as opened:
        yield opened


@pytest.fixture(scope="module")
async def operator(town: Town) -> Person:
    return await town.operator("platform-admin")


@pytest.fixture(scope="module")
async def victim(
    stack: Stack, receiver: Receiver, town: Town, operator: Person
) -> AsyncIterator[Estate]:
    """Tenant B, who has one of everything."""
    opened = await open_house(stack, receiver, "victim")
    estate = await settle(opened, town, operator)
    yield estate
    await estate.owner.__aexit__()
    await opened.close()


@pytest.fixture(scope="module")
async def strangers(house: House, town: Town, operator: Person) -> AsyncIterator[list[Stranger]]:
    """Everybody who could ask: tenant A's key, its owner, support inside it, and an operator."""
    tokens = {
        "user": (await join(house, town, "owner")).session.access,
        "support": (await enter(operator, house.id))["access_token"],
        "operator": operator.session.access,
    }
    async with AsyncExitStack() as opened:
        callers = {
            kind: await opened.enter_async_context(house.stack.rest(token))
            for kind, token in tokens.items()
        }
        yield [
            await stranger("key", house.rest),
            await stranger("user", callers["user"]),
            await stranger("support", callers["support"]),
            await stranger("operator", callers["operator"]),
        ]


def aimed(all_operations: list[Operation], one: Stranger) -> list[Operation]:
    """Return the routes with ids of somebody's, but for what an operator may do to any tenant."""
    return [
        operation
        for operation in all_operations
        if operation.parameters
        and operation.path not in NOBODYS
        and not (operation.access == "operator" and one.may(operation))
    ]


async def ask(caller: Rest, operation: Operation, ids: dict[str, str]) -> Reply:
    """Call an operation with these ids and a body that would be right."""
    body: Any = None
    if operation.has_body:
        body = BODIES.get(operation.path, RENAMED if operation.method == "PATCH" else {})
    return await caller.call(operation.method, operation.with_ids(ids), body)


async def test_every_route_refuses_another_tenant(
    victim: Estate, strangers: list[Stranger], all_operations: list[Operation]
) -> None:
    mine = next(one.rest for one in strangers if one.kind == "user")
    before = await belongings(victim.owner, all_operations)
    own = await belongings(mine, all_operations)
    met: set[tuple[str, int]] = set()

    for one in strangers:
        routes = aimed(all_operations, one)
        assert len(routes) >= 35
        for operation in routes:
            reply = await ask(one.rest, operation, victim.ids)
            status = 404 if one.may(operation) else 403
            assert reply.status == status, (one.kind, operation, reply)
            problem = reply.json()
            assert problem["type"].endswith(f"/{NAMES[status]}")
            assert reply.headers["content-type"].startswith("application/problem+json")
            assert not any(value in str(problem.get("detail")) for value in victim.own)
            met.add((one.kind, status))

    assert len(met) == 2 * len(strangers), "Each met both: what it may not, and what is not there."
    assert await belongings(victim.owner, all_operations) == before
    assert await belongings(mine, all_operations) == own


async def test_a_stranger_cannot_tell_what_exists(
    victim: Estate, strangers: list[Stranger], all_operations: list[Operation]
) -> None:
    nothing = {name: _other(text) for name, text in victim.ids.items()}
    for one in strangers:
        for operation in aimed(all_operations, one):
            exists = await ask(one.rest, operation, victim.ids)
            missing = await ask(one.rest, operation, nothing)
            assert exists.status == missing.status
            assert _without_instance(exists) == _without_instance(missing), operation


async def test_those_whom_it_is_for_do_reach_all_of_it(
    victim: Estate, strangers: list[Stranger], all_operations: list[Operation]
) -> None:
    operator = next(one.rest for one in strangers if one.kind == "operator")
    for operation in all_operations:
        if operation.method == "GET" and operation.access != "public":
            caller = operator if operation.access == "operator" else victim.owner
            reply = await ask(caller, operation, victim.ids)
            assert reply.status == 200, (operation, reply)


async def test_operators_routes_are_closed_to_all_of_a_tenant(
    house: House, victim: Estate, strangers: list[Stranger], all_operations: list[Operation]
) -> None:
    routes = [operation for operation in all_operations if operation.access == "operator"]
    assert len(routes) >= 9
    callers = [one.rest for one in strangers if one.kind != "operator"]
    for operation in routes:
        for caller in (*callers, victim.house.rest, victim.owner):
            for tenant_id in (victim.house.id, house.id):
                ids = {**victim.ids, "tenant_id": tenant_id}
                reply = await ask(caller, operation, ids)
                assert reply.status == 403, (operation, reply)


async def test_an_account_is_a_persons_and_no_keys(
    victim: Estate, strangers: list[Stranger], all_operations: list[Operation]
) -> None:
    routes = [operation for operation in all_operations if operation.access == "user"]
    assert len(routes) >= 8
    callers = [one.rest for one in strangers if one.kind in {"key", "support"}]
    for operation in routes:
        for caller in (*callers, victim.house.rest):
            reply = await ask(caller, operation, victim.ids)
            assert reply.status == 403, (operation, reply)


async def test_lists_show_nothing_of_another_tenants(
    house: House, victim: Estate, strangers: list[Stranger], all_operations: list[Operation]
) -> None:
    for operation in lists(all_operations):
        path = operation.path
        owned = await victim.owner.get(path)
        assert owned.get("items") or "items" not in owned or path in MAY_BE_EMPTY, path
        for one in strangers:
            reply = await one.rest.call("GET", path)
            assert reply.status == (200 if one.may(operation) else 403), (one.kind, reply)
            told = reply.body.decode()
            assert not any(text in told for text in victim.own), (one.kind, path)
    mine = await house.rest.get("/v1/tenant")
    assert mine["id"] == house.id


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/events", "source_id"),
        ("/v1/deliveries", "event_id"),
        ("/v1/deliveries", "destination_id"),
        ("/v1/dead-letters", "destination_id"),
    ],
)
async def test_a_filter_by_anothers_id_finds_nothing(
    house: House, victim: Estate, path: str, name: str
) -> None:
    theirs = f"{path}?{name}={victim.ids[name]}"
    assert (await victim.house.rest.get(theirs))["items"], "It finds something for its owner."

    reply = await house.rest.call("GET", theirs)

    assert reply.status == 404 or reply.ok()["items"] == []


async def test_a_cursor_of_another_tenant_opens_nothing(house: House, victim: Estate) -> None:
    for _ in range(3):
        await victim.door.accepted()
    await until(lambda: _has(victim, "/v1/events", 3), "three events")
    page = await victim.house.rest.get("/v1/events?limit=1")
    assert page["next_cursor"]

    reply = await house.rest.call("GET", f"/v1/events?limit=1&cursor={page['next_cursor']}")

    assert reply.status in {400, 404, 422} or reply.ok()["items"] == []


async def test_a_destination_cannot_listen_to_anothers_source(house: House, victim: Estate) -> None:
    before = len(await house.rest.all("/v1/destinations"))
    spy = f"/{new_serial()}"
    wish = {"name": "spy", "url": house.receiver.url + spy, "source_ids": [victim.ids["source_id"]]}

    reply = await house.rest.call("POST", "/v1/destinations", wish)

    assert reply.status in {404, 422}, reply
    assert len(await house.rest.all("/v1/destinations")) == before


async def test_a_replay_reaches_nothing_of_anothers(house: House, victim: Estate) -> None:
    for wish in (
        {"destination_id": victim.ids["destination_id"]},
        {"source_id": victim.ids["source_id"]},
        {},
    ):
        key = {"Idempotency-Key": new_serial()}
        reply = await house.rest.call("POST", "/v1/replays", wish, headers=key)
        if reply.status in {404, 422}:
            continue
        made = reply.ok()

        async def done(replay_id: str = made["id"]) -> Any:
            shown = await house.rest.get(f"/v1/replays/{replay_id}")
            return shown if shown["state"] == "done" else None

        assert (await until(done, "an end of the replay"))["replayed"] == 0
    shown = await victim.house.rest.get(f"/v1/deliveries/{victim.dead}")
    assert shown["state"] == "dead"


async def test_a_webhook_reaches_its_own_tenant_only(house: House, victim: Estate) -> None:
    mine, path = await house.door("stripe"), f"/{new_serial()}"
    await house.destination(path)
    theirs, ours = victim.door.webhook(), mine.webhook()

    foreign = await victim.door.accepted(theirs)
    await mine.accepted(ours)

    await house.receiver.first(ours.serial, path=path)
    await victim.house.settled(foreign, "dead")
    assert {arrival.serial for arrival in house.receiver.at(path)} == {ours.serial}
    assert (await house.rest.call("GET", f"/v1/events/{foreign}")).status == 404
    assert (await house.rest.call("GET", f"/v1/events/{foreign}/payload")).status == 404


async def test_the_same_webhook_at_two_tenants_is_two_events(house: House, victim: Estate) -> None:
    mine = await house.door("stripe")
    webhook = mine.webhook()

    first = await mine.accepted(webhook)
    second = await victim.door.accepted(webhook._replace(url=victim.door.url))

    assert (await house.event(first))["id"] == first
    assert (await victim.house.event(second))["id"] == second


async def test_names_are_each_tenants_own(house: House, victim: Estate) -> None:
    name = victim.door.source["name"]

    made = await house.rest.call("POST", "/v1/sources", {"name": name, "scheme": "stripe"})

    assert made.status == 201, "That another tenant uses a name is none of ours to know."


def _other(text: str) -> str:
    """Return an id of the same kind that nobody has."""
    if text in EVERYBODYS.values():
        return text
    prefix, _, digits = text.rpartition("_")
    digits = digits[:-3] + ("aaa" if not digits.endswith("aaa") else "bbb")
    return f"{prefix}_{digits}" if prefix else digits


def _without_instance(reply: Reply) -> Any:
    told = reply.json()
    told.pop("instance", None)
    return told


async def _has(estate: Estate, path: str, number: int) -> bool:
    return len(await estate.house.rest.all(path)) >= number
