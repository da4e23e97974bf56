"""Deliveries that fail: tried again, given up, listed, and made again when asked."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from crossdock.samples.sender import new_serial
from tests.acceptance.house import Door, House
from tests.faults.receiver import Arrival, Temper
from tests.faults.waiting import until

QUICK = {"delays_s": [1, 1]}
"""The shortest waits there are."""
NONE = {"count": 0}


@pytest.fixture
async def door(house: House) -> Door:
    """A source of one test's own, so that its destination gets nobody else's events."""
    return await house.door("stripe")


@asynccontextmanager
async def hanging() -> AsyncIterator[str]:
    """Listen, take connections, and never say anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}/hangs"


async def target(door: Door, **fields: Any) -> tuple[str, Any]:
    """Make a destination of this source alone; return its path and itself."""
    path = f"/{new_serial()}"
    made = await door.house.destination(path, source_ids=[door.source["id"]], **fields)
    return path, made


async def test_what_fails_is_tried_again_until_it_is_taken(house: House, door: Door) -> None:
    path, made = await target(door, retry=QUICK)
    house.receiver.answer(path, lambda _event, earlier: 503 if earlier < 2 else 200)
    webhook = door.webhook()

    event_id = await door.accepted(webhook)

    delivery = await house.settled(event_id, "delivered")
    arrivals = house.receiver.at(path)
    assert [arrival.status for arrival in arrivals] == [503, 503, 200]
    assert {arrival.event_id for arrival in arrivals} == {event_id}
    assert {arrival.body for arrival in arrivals} == {webhook.body}
    for arrival in arrivals:
        Verifier(made["secret"]).verify(arrival.body, dict(arrival.headers))
    shown = await house.rest.get(f"/v1/deliveries/{delivery['id']}")
    assert shown["attempt_count"] == 3
    assert [attempt["status"] for attempt in shown["attempts"]] == [503, 503, 200]
    assert [attempt["number"] for attempt in shown["attempts"]] == [1, 2, 3]


async def test_these_answers_are_tried_again(house: House, door: Door) -> None:
    statuses = [408, 409, 425, 429, 500, 502, 503, 504, 400, 404]
    paths = {status: (await target(door, retry=QUICK))[0] for status in statuses}
    for status, path in paths.items():
        house.receiver.answer(path, _failing_once(status))

    event_id = await door.accepted()

    await _all_delivered(house, event_id, len(paths))
    for status, path in paths.items():
        assert [arrival.status for arrival in house.receiver.at(path)] == [status, 200]


async def test_these_answers_are_success(house: House, door: Door) -> None:
    statuses = [200, 201, 202, 204, 299]
    for status in statuses:
        path, _ = await target(door, retry=NONE)
        house.receiver.answer(path, _always(status))

    deliveries = await _all_delivered(house, await door.accepted(), len(statuses))

    assert {delivery["attempt_count"] for delivery in deliveries} == {1}
    assert sorted(delivery["last_status"] for delivery in deliveries) == statuses


async def test_a_redirect_is_not_followed(house: House, door: Door) -> None:
    path, _ = await target(door, retry=NONE)
    elsewhere = f"{house.receiver.url}{path}-elsewhere"
    house.receiver.answer(path, lambda _event, _earlier: (302, {"location": elsewhere}))

    await house.settled(await door.accepted(), "dead")

    assert house.receiver.at(f"{path}-elsewhere") == []


async def test_a_retry_after_is_obeyed(house: House, door: Door) -> None:
    path, _ = await target(door, retry={"delays_s": [1, 1], "cap_s": 30})
    house.receiver.answer(
        path, lambda _event, earlier: (503, {"retry-after": "3"}) if earlier < 1 else 200
    )

    await house.settled(await door.accepted(), "delivered")

    first, second = house.receiver.at(path)
    assert second.at - first.at >= 3.0


async def test_a_retry_after_reaches_no_further_than_the_cap(house: House, door: Door) -> None:
    path, _ = await target(door, retry={"delays_s": [1, 1], "cap_s": 1})
    house.receiver.answer(
        path, lambda _event, earlier: (429, {"retry-after": "86400"}) if earlier < 1 else 200
    )

    await house.settled(await door.accepted(), "delivered")


async def test_what_hangs_is_given_up_and_tried_again(house: House, door: Door) -> None:
    async with hanging() as url:
        await house.destination(
            "/",
            url=url,
            source_ids=[door.source["id"]],
            retry=NONE,
            timeout_s=1,
        )
        delivery = await house.settled(await door.accepted(), "dead")
        shown = await house.rest.get(f"/v1/deliveries/{delivery['id']}")
    assert shown["attempts"][0]["status"] is None
    assert shown["attempts"][0]["error"]
    assert 900 <= shown["attempts"][0]["duration_ms"] <= 5000


async def test_nobody_there_is_tried_again(house: House, door: Door) -> None:
    async with hanging() as gone:
        url = gone
    await house.destination("/", url=url, source_ids=[door.source["id"]], retry=QUICK)

    delivery = await house.settled(await door.accepted(), "dead")

    assert delivery["attempt_count"] == 3
    assert delivery["last_status"] is None


async def test_what_always_fails_becomes_a_dead_letter(house: House, door: Door) -> None:
    path, made = await target(door, retry=QUICK)
    house.receiver.answer(path, lambda _event, _earlier: 500)

    event_id = await door.accepted()

    delivery = await house.settled(event_id, "dead")
    assert len(house.receiver.at(path)) == 3
    assert delivery["last_status"] == 500
    assert delivery["reason"]
    assert delivery["next_attempt_at"] is None
    letters = await house.rest.all(f"/v1/dead-letters?destination_id={made['id']}")
    assert [letter["id"] for letter in letters] == [delivery["id"]]
    letter = await house.rest.get(f"/v1/dead-letters/{delivery['id']}")
    assert len(letter["attempts"]) == 3


async def test_410_is_final_and_disables_the_destination(house: House, door: Door) -> None:
    path, made = await target(door, retry=QUICK)
    house.receiver.answer(path, lambda _event, _earlier: 410)

    delivery = await house.settled(await door.accepted(), "dead")

    assert delivery["attempt_count"] == 1
    assert len(house.receiver.at(path)) == 1
    shown = await house.rest.get(f"/v1/destinations/{made['id']}")
    assert shown["state"] == "disabled"
    assert shown["disabled_reason"]


async def test_other_4xx_are_final_where_the_destination_says_so(house: House, door: Door) -> None:
    path, made = await target(door, retry={**QUICK, "final_statuses": [422]})
    house.receiver.answer(path, lambda _event, _earlier: 422)

    delivery = await house.settled(await door.accepted(), "dead")

    assert delivery["attempt_count"] == 1
    assert (await house.rest.get(f"/v1/destinations/{made['id']}"))["state"] == "enabled"


async def test_one_dead_letter_is_replayed(house: House, door: Door) -> None:
    path, made = await target(door, retry=NONE)
    broken = True
    house.receiver.answer(path, lambda _event, _earlier: 500 if broken else 200)
    webhook = door.webhook()
    event_id = await door.accepted(webhook)
    dead = await house.settled(event_id, "dead")
    broken = False

    made_again = await house.rest.post(f"/v1/deliveries/{dead['id']}/replay")

    assert made_again["id"] != dead["id"]
    assert made_again["event_id"] == event_id
    delivered = await house.settled(event_id, "delivered")
    assert delivered["id"] == made_again["id"]
    assert _tried(house.receiver.at(path)) == [(event_id, 500), (event_id, 200)]
    assert house.receiver.at(path)[-1].body == webhook.body
    assert await house.rest.all(f"/v1/dead-letters?destination_id={made['id']}") == []
    old = await house.rest.get(f"/v1/deliveries/{dead['id']}")
    assert old["state"] == "replayed"


async def test_dead_letters_are_replayed_in_bulk(house: House, door: Door) -> None:
    path, made = await target(door, retry=NONE)
    other_path, other = await target(door, retry=NONE)
    broken = True
    for failing in (path, other_path):
        # No 5xx: their breakers would open, and most wait.
        house.receiver.answer(failing, lambda _event, _earlier: 404 if broken else 200)
    events = [await door.accepted() for _ in range(40)]

    async def dead(destination: Any) -> bool:
        letters = await house.rest.all(f"/v1/dead-letters?destination_id={destination['id']}")
        return len(letters) == len(events)

    await until(lambda: dead(made), "dead letters")
    await until(lambda: dead(other), "dead letters of the other destination")
    broken = False

    replay = await house.replay({"destination_id": made["id"]})

    async def done() -> Any:
        shown = await house.rest.get(f"/v1/replays/{replay['id']}")
        return shown if shown["state"] == "done" else None

    shown = await until(done, "an end of the replay")
    assert shown["replayed"] == len(events)

    def taken() -> set[str]:
        return {item.event_id for item in house.receiver.at(path) if item.status == 200}

    await until(lambda: taken() == set(events), lambda: f"all replayed: {len(taken())}")
    assert await house.rest.all(f"/v1/dead-letters?destination_id={made['id']}") == []
    assert await dead(other), "Only what matched is made again."
    assert {item.status for item in house.receiver.at(other_path)} == {404}
    assert (await house.rest.all("/v1/replays"))[0]["id"] == replay["id"]


@pytest.mark.parametrize("by", ["source", "type", "status", "time"])
async def test_a_bulk_replay_takes_what_matches(house: House, by: str) -> None:
    one, two = await house.door("stripe"), await house.door("github")
    path = f"/{new_serial()}"
    made = await house.destination(
        path, retry=NONE, source_ids=[one.source["id"], two.source["id"]]
    )
    status = 503
    house.receiver.answer(path, lambda _event, _earlier: status)
    wanted = await one.accepted()
    await house.settled(wanted, "dead")
    middle = datetime.now(UTC) + timedelta(milliseconds=5)
    await until(lambda: time() > middle.timestamp(), "a later moment")
    status = 500
    unwanted = await two.accepted()
    await house.settled(unwanted, "dead")
    status = 200
    wish = {
        "source": {"source_id": one.source["id"]},
        "type": {"event_types": ["charge.*"]},
        "status": {"last_status": 503},
        "time": {"created_before": middle.isoformat()},
    }[by]

    replay = await house.replay({"destination_id": made["id"], **wish})

    await house.settled(wanted, "delivered")

    async def done() -> bool:
        shown = await house.rest.get(f"/v1/replays/{replay['id']}")
        return bool(shown["state"] == "done")

    await until(done, "an end of the replay")
    states = [delivery["state"] for delivery in await house.deliveries(unwanted)]
    assert states == ["dead"]


async def test_an_event_is_replayed_to_whoever_wants_it_now(house: House, door: Door) -> None:
    path, _ = await target(door)
    webhook = door.webhook()
    event_id = await door.accepted(webhook)
    await house.receiver.first(webhook.serial, path=path)
    later, _ = await target(door)

    made = await house.rest.post(f"/v1/events/{event_id}/replay")

    assert len(made["items"]) == 2
    await house.receiver.first(webhook.serial, path=later)
    await until(lambda: len(house.receiver.at(path)) == 2, "the first destination again")


async def test_a_disabled_destination_gets_nothing_until_it_is_enabled(
    house: House, door: Door
) -> None:
    path, made = await target(door)
    await house.rest.post(f"/v1/destinations/{made['id']}/disable")
    other, _ = await target(door)
    webhook = door.webhook()

    await door.accepted(webhook)

    await house.receiver.first(webhook.serial, path=other)
    assert house.receiver.at(path) == []
    await house.rest.post(f"/v1/destinations/{made['id']}/enable")

    async def is_served() -> bool:
        await door.accepted()
        return bool(house.receiver.at(path))

    await until(is_served, "deliveries to the enabled destination", step=0.2)


async def test_one_destination_that_hangs_holds_no_other_up(house: House, door: Door) -> None:
    async with hanging() as url:
        await house.destination("/", url=url, source_ids=[door.source["id"]], timeout_s=2)
        path, _ = await target(door)
        sent = [door.webhook() for _ in range(150)]
        for webhook in sent:
            await door.accepted(webhook)
        serials = {webhook.serial for webhook in sent}

        def served() -> set[str]:
            return {arrival.serial for arrival in house.receiver.at(path)}

        await until(lambda: served() == serials, lambda: f"all 150, not {len(served())}", within=10)


async def test_private_addresses_are_refused_without_leave(house: House, door: Door) -> None:
    # The stack allows loopback, for these tests; nothing else that is private.
    for url in ("http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://[fd00::1]/"):
        made = await house.rest.call(
            "POST",
            "/v1/destinations",
            {"name": new_serial(), "url": url, "source_ids": [door.source["id"]], "retry": NONE},
        )
        assert made.status in {201, 400, 422}, made
    event_id = await door.accepted()

    async def is_over() -> bool:
        await house.event(event_id)
        found = await house.deliveries(event_id)
        return all(item["state"] == "dead" and item["last_status"] is None for item in found)

    await until(is_over, "an end without a call")


def _tried(arrivals: list[Arrival]) -> list[tuple[str, int]]:
    return [(arrival.event_id, arrival.status) for arrival in arrivals]


def _always(status: int) -> Temper:
    return lambda _event, _earlier: status


def _failing_once(status: int) -> Temper:
    return lambda _event, earlier: status if earlier < 1 else 200


async def _all_delivered(house: House, event_id: str, number: int) -> list[Any]:
    """Return an event's deliveries once that many are delivered."""
    await house.event(event_id)

    async def found() -> list[Any] | None:
        deliveries = await house.deliveries(event_id)
        done = [item for item in deliveries if item["state"] == "delivered"]
        return done if len(done) == number else None

    return await until(found, f"{number} deliveries") or []
