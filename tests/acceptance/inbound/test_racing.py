"""Two who want different things at the same moment: one of them wins, and nothing is broken."""

import asyncio
from typing import Any

import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.feed import Feed, open_feed
from tests.acceptance.inbound.registry import ORDER, TYPES, new_name, register
from tests.faults.rest import Reply

BROKEN = {"total": "x"}


async def at_once(house: House, *asked: tuple[str, str, Any]) -> list[Reply]:
    """Ask all of it at the same moment, each on a connection of its own."""
    callers = [house.stack.rest(house.key) for _ in asked]
    try:
        return list(
            await asyncio.gather(
                *(caller.call(*one) for caller, one in zip(callers, asked, strict=True))
            )
        )
    finally:
        for caller in callers:
            await caller.__aexit__()


async def test_a_type_is_registered_once_however_many_ask(house: House) -> None:
    wish = {"name": new_name(), "mode": "warn", "schema": ORDER}

    replies = await at_once(house, *[("POST", TYPES, wish)] * 8)

    assert sorted(reply.status for reply in replies) == [201] + [409] * 7


async def test_changes_of_one_schema_at_once_are_versions_in_a_row(house: House) -> None:
    made = await register(house, compatibility="none")
    path = f"{TYPES}/{made['id']}"
    schemas = [{"type": "object", "minProperties": number} for number in range(6)]

    replies = await at_once(house, *(("PATCH", path, {"schema": one}) for one in schemas))

    assert {reply.status for reply in replies} <= {200, 409}, replies
    done = sum(reply.status == 200 for reply in replies)
    told = await house.rest.all(f"{path}/versions")
    assert [item["number"] for item in told] == list(range(done + 1, 0, -1))


async def test_a_type_may_go_while_its_events_come(house: House) -> None:
    feed = await open_feed(house)
    made = await register(house, "quarantine")
    await feed.judged(made["name"], "quarantined", **BROKEN)
    path = f"{TYPES}/{made['id']}"

    sending = asyncio.gather(*(feed.send(made["name"], **BROKEN) for _ in range(40)))
    gone = await house.rest.call("DELETE", path)
    sent = await sending

    assert gone.status == 204
    assert {one.reply.status for one in sent} == {202}
    await feed.judged(made["name"], "accepted", **BROKEN)
    kept = [await house.event(one.id) for one in sent]
    assert {event["status"] for event in kept} <= {"quarantined", "accepted"}
    waiting = [event["id"] for event in kept if event["status"] == "quarantined"]
    for event_id in waiting:
        assert (await house.rest.call("POST", f"/v1/events/{event_id}/release")).status == 200
    for event_id in waiting:
        await feed.event(event_id, "released")


@pytest.mark.parametrize("verb", ["release", "drop"])
async def test_the_same_wish_at_once_is_one(house: House, verb: str) -> None:
    feed = await open_feed(house)
    made = await register(house, "quarantine")
    event_id = await feed.judged(made["name"], "quarantined", **BROKEN)
    path = f"/v1/events/{event_id}/{verb}"

    replies = await at_once(house, *[("POST", path, None)] * 8)

    assert {reply.status for reply in replies} == {200}, replies
    await feed.event(event_id, "released" if verb == "release" else "dropped")
    await feed.passed()
    assert len(await house.deliveries(event_id)) == (verb == "release")


async def test_secrets_rotate_while_a_test_is_sent(house: House) -> None:
    feed = await open_feed(house)
    rotate = ("POST", f"{feed.at}/rotate-secret", {"overlap_s": 0})
    test = ("POST", f"{feed.at}/test", None)

    replies = await at_once(house, rotate, test, rotate, test, test)

    for reply in replies:
        assert reply.status in {200, 201, 409}, reply
    told = [reply.json() for reply in replies if "problem" in reply.json()]
    assert {one["status"] for one in told} <= {202, 401}


async def test_the_first_events_of_a_tenant_make_one_source(house: House) -> None:
    wishes = [{"id": new_serial(), "event_type": "own.first", "payload": 1} for _ in range(10)]

    replies = await at_once(house, *(("POST", "/v1/events", wish) for wish in wishes))

    assert {reply.status for reply in replies} == {202}, replies
    own = [item for item in await house.rest.all("/v1/sources") if item["scheme"] == "api"]
    assert len(own) == 1
    for reply in replies:
        assert (await house.event(reply.json()["id"]))["source_id"] == own[0]["id"]


async def test_a_key_of_idempotency_makes_one_of_many(house: House) -> None:
    feed: Feed = await open_feed(house)
    made = await register(house, "quarantine")
    event_id = await feed.judged(made["name"], "quarantined", **BROKEN)
    asked: list[tuple[str, str, Any]] = [
        ("POST", f"/v1/events/{event_id}/release", None),
        ("POST", f"{feed.at}/pause", {"mode": "buffer"}),
        ("POST", f"{feed.at}/resume", None),
        ("POST", TYPES, {"name": new_name(), "mode": "off", "schema": ORDER}),
        ("POST", "/v1/events", {"id": new_serial(), "event_type": "own.x", "payload": {}}),
        (
            "POST",
            "/v1/events/batch",
            {"events": [{"id": new_serial(), "event_type": "own.x", "payload": {}}]},
        ),
        ("POST", f"{feed.at}/test", None),
        ("POST", "/v1/simulations", {"source_id": feed.id, "event_id": event_id}),
    ]
    for method, path, body in asked:
        headers = {"idempotency-key": new_serial()}
        first, again = [
            await house.rest.call(method, path, body, headers=headers) for _ in range(2)
        ]
        other = await house.rest.call("POST", TYPES, {"name": "x.y"}, headers=headers)
        assert first.status < 300, (path, first)
        assert (again.status, again.body) == (first.status, first.body), path
        assert again.headers["idempotency-replayed"] == "true", path
        assert other.status == 422, (path, other)
