"""Tenant A with all of tenant B's ids: 404 everywhere, and nothing of B's changes.

The routes come from the live OpenAPI document. A route with an id in its path that is not known
here fails the test until somebody says what id of B's belongs there.
"""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import Door, House, open_house
from tests.acceptance.openapi import Operation, operations
from tests.faults.receiver import Receiver
from tests.faults.rest import Reply
from tests.faults.stack import Stack
from tests.faults.waiting import until

LISTS = (
    "/v1/sources",
    "/v1/destinations",
    "/v1/events",
    "/v1/deliveries",
    "/v1/dead-letters",
    "/v1/replays",
    "/v1/api-keys",
)
CONTROL_CHANGES = {"last_used_at"}


class Estate(NamedTuple):
    """A tenant that has one of everything."""

    house: House
    door: Door
    ids: dict[str, str]
    """By the name of a path's parameter."""
    dead: str
    destination: Any


@pytest.fixture(scope="module")
async def all_operations(house: House) -> list[Operation]:
    return await operations(house.rest)


@pytest.fixture(scope="module")
async def victim(stack: Stack, receiver: Receiver) -> AsyncIterator[Estate]:
    """Tenant B, who has one of everything."""
    opened = await open_house(stack, receiver, "victim")
    yield await _settle(opened)
    await opened.close()


async def _settle(house: House) -> Estate:
    door = await house.door("stripe")
    await house.rest.post(f"/v1/sources/{door.source['id']}/rotate-secret", {})
    source = await house.rest.get(f"/v1/sources/{door.source['id']}")
    path = f"/{new_serial()}"
    house.receiver.answer(path, lambda _event, _earlier: 500)
    destination = await house.destination(path, retry={"count": 0})
    event_id = await door.accepted()
    dead = await house.settled(event_id, "dead")
    replay = await house.rest.post("/v1/replays", {"reason": "no_such_reason"})
    key = await house.rest.post("/v1/api-keys", {"name": "k", "permissions": ["sources:read"]})
    old = next(secret for secret in source["secrets"] if secret["ends_at"])
    ids = {
        "source_id": source["id"],
        "secret_id": old["id"],
        "destination_id": destination["id"],
        "event_id": event_id,
        "delivery_id": dead["id"],
        "replay_id": replay["id"],
        "key_id": key["id"],
    }

    async def is_done() -> bool:
        return bool((await house.rest.get(f"/v1/replays/{replay['id']}"))["state"] == "done")

    await until(is_done, "an end of the replay")
    return Estate(house, door, ids, dead["id"], destination)


async def belongings(estate: Estate) -> dict[str, Any]:
    """Return everything a tenant has, as it is shown to itself."""
    found: dict[str, Any] = {}
    for path in LISTS:
        for item in await estate.house.rest.all(path):
            whole = item
            if path != "/v1/api-keys":
                whole = await estate.house.rest.get(f"{path}/{item['id']}")
            found[f"{path}/{item['id']}"] = {
                name: value for name, value in whole.items() if name not in CONTROL_CHANGES
            }
    found["tenant"] = await estate.house.rest.get("/v1/tenant")
    return found


async def ask(house: House, operation: Operation, ids: dict[str, str]) -> Reply:
    """Call an operation with these ids and a body that would be right."""
    body: Any = None
    if operation.has_body:
        body = {"name": "taken over"} if operation.method == "PATCH" else {}
    return await house.rest.call(operation.method, operation.with_ids(ids), body)


async def test_every_route_answers_404_to_another_tenant(
    house: House, victim: Estate, all_operations: list[Operation]
) -> None:
    before = await belongings(victim)
    aimed = [operation for operation in all_operations if operation.parameters]
    aimed = [operation for operation in aimed if not operation.path.startswith("/in/")]
    assert len(aimed) >= 20

    for operation in aimed:
        reply = await ask(house, operation, victim.ids)
        assert reply.status == 404, (operation, reply)
        assert reply.headers["content-type"].startswith("application/problem+json")
        assert not any(value in str(reply.json().get("detail")) for value in victim.ids.values())

    assert await belongings(victim) == before


async def test_a_stranger_cannot_tell_what_exists(
    house: House, victim: Estate, all_operations: list[Operation]
) -> None:
    for operation in all_operations:
        if not operation.parameters or operation.path.startswith("/in/"):
            continue
        nothing = {name: _other(text) for name, text in victim.ids.items()}
        exists = await ask(house, operation, victim.ids)
        missing = await ask(house, operation, nothing)
        assert exists.status == missing.status
        assert _without_instance(exists) == _without_instance(missing), operation


async def test_the_owner_does_reach_all_of_it(
    victim: Estate, all_operations: list[Operation]
) -> None:
    for operation in all_operations:
        if operation.method == "GET" and operation.parameters and "/in/" not in operation.path:
            reply = await ask(victim.house, operation, victim.ids)
            assert reply.status == 200, (operation, reply)


async def test_lists_show_nothing_of_another_tenants(house: House, victim: Estate) -> None:
    theirs = set(victim.ids.values())
    for path in LISTS:
        shown = {item["id"] for item in await house.rest.all(path)}
        assert not shown & theirs
        assert {item["id"] for item in await victim.house.rest.all(path)}, "Theirs is not empty."
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
        reply = await house.rest.call("POST", "/v1/replays", wish)
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
    prefix, _, digits = text.rpartition("_")
    digits = digits[:-3] + ("aaa" if not digits.endswith("aaa") else "bbb")
    return f"{prefix}_{digits}" if prefix else digits


def _without_instance(reply: Reply) -> Any:
    told = reply.json()
    told.pop("instance", None)
    return told


async def _has(estate: Estate, path: str, number: int) -> bool:
    return len(await estate.house.rest.all(path)) >= number
