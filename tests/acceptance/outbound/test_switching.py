"""Destinations that are switched off and on, replays that miss nothing, and what is called off."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.acceptance.house import House
from tests.acceptance.inbound.feed import Feed
from tests.acceptance.outbound.lanes import beside, delivered, lane, state_of
from tests.faults.stack import end
from tests.faults.waiting import until

NEVER = {"delays_s": [3600]}
NOBODYS = "dlv_01m84sx0vhergsdth25x2m0m1h"


async def switch(feed: Feed, what: str) -> Any:
    """Enable or disable a lane's destination."""
    return await feed.house.rest.post(f"/v1/destinations/{feed.destination['id']}/{what}")


async def replay(feed: Feed, **wish: Any) -> Any:
    """Start a replay to a lane's destination."""
    return await feed.house.replay({"destination_id": feed.destination["id"]} | wish)


async def ended(house: House, job: Any, state: str = "done", *, within: float = 30) -> Any:
    """Return a replay once it is in that state."""
    seen: list[Any] = [None]

    async def found() -> Any:
        seen[0] = await house.rest.get(f"/v1/replays/{job['id']}")
        return seen[0] if seen[0]["state"] == state else None

    return await until(found, lambda: f"a replay that is {state}: {seen[0]}", within=within)


async def test_all_that_was_missed_while_it_was_off_is_replayed(house: House) -> None:
    feed = await lane(house, filter="payload.data.wanted")
    everything = await beside(feed)
    before = await feed.send("a.b", wanted=True)
    await feed.arrived(before)
    await switch(feed, "disable")

    async def is_off() -> bool:
        probe = await feed.send("a.b", wanted=True)
        await everything.arrived(probe)
        return all(
            one["destination_id"] != feed.destination["id"]
            for one in await house.deliveries(probe.id)
        )

    await until(is_off, "a destination that is off")
    missed = [await feed.send("a.b", wanted=True) for _ in range(20)]
    unwanted = [await feed.send("a.b", wanted=False) for _ in range(5)]
    for sent in (*missed, *unwanted):
        await everything.arrived(sent)
    came = len(feed.came())
    await switch(feed, "enable")
    after = await feed.send("a.b", wanted=True)
    await feed.arrived(after)
    job = await replay(feed, state="missed")
    done = await ended(house, job)
    assert done["replayed"] >= len(missed)
    assert done["progress"] == 1.0
    for sent in missed:
        await feed.arrived(sent)
    serials = [one.serial for one in feed.came()]
    assert len(serials) == len(set(serials)), "Nothing came twice."
    assert not {one.serial for one in unwanted} & set(serials), "Nor what it does not want."
    assert len(serials) >= came + len(missed) + 1
    again = await ended(house, await replay(feed, state="missed"))
    assert again["replayed"] == 0, "What was made up for is not missed any more."


async def test_what_waits_when_it_is_switched_off_goes_on_later(house: House) -> None:
    feed = await lane(house, retry={"delays_s": [1] * 30}, breaker="off")
    house.receiver.answer(feed.path, lambda _event, _earlier: 503)
    sent = [await feed.send("a.b") for _ in range(5)]
    await until(lambda: len(feed.came()) >= 5, "first attempts")
    await switch(feed, "disable")
    house.receiver.answer(feed.path, lambda _event, _earlier: 204)
    await asyncio.sleep(2)  # in which each would be tried again
    assert all(one.status == 503 for one in feed.came()), "It is off."
    await switch(feed, "enable")
    for one in sent:
        await delivered(feed, one)


async def test_everything_since_a_time_again(house: House) -> None:
    feed = await lane(house)
    early = await feed.send("a.b")
    await feed.arrived(early)
    await asyncio.sleep(0.05)
    since = datetime.now(UTC)
    late = [await feed.send("a.b") for _ in range(10)]
    for sent in late:
        await feed.arrived(sent)
    done = await ended(house, await replay(feed, state="all", created_after=since.isoformat()))
    assert done["replayed"] == len(late)
    await until(lambda: len(feed.came()) == 1 + 2 * len(late), "each of them again")
    assert len([one for one in feed.came() if one.serial == early.serial]) == 1
    assert len({one.event_id for one in feed.came()}) == 1 + len(late), "under the same ids"


async def test_a_selection_is_replayed(house: House) -> None:
    feed = await lane(house, retry={"count": 0})
    house.receiver.answer(feed.path, lambda _event, _earlier: 400)
    sent = [await feed.send("a.b") for _ in range(4)]
    dead = [await state_of(feed, one.id, "dead") for one in sent]
    house.receiver.answer(feed.path, lambda _event, _earlier: 204)
    chosen = [dead[0]["id"], dead[2]["id"]]
    items = (await house.rest.post("/v1/deliveries/replay", {"ids": chosen}))["items"]
    assert [item["status"] for item in items] == [200, 200] or [
        item["status"] for item in items
    ] == [201, 201]
    await delivered(feed, sent[0])
    await delivered(feed, sent[2])
    assert (await house.rest.get(f"/v1/deliveries/{dead[1]['id']}"))["state"] == "dead"


async def test_a_replay_pauses_resumes_and_survives_a_crash(house: House) -> None:
    feed = await lane(house)
    sent = [await feed.send("a.b") for _ in range(300)]
    for one in sent:
        await feed.arrived(one)
    since = datetime.fromtimestamp(0, UTC).isoformat()
    job = await replay(feed, state="all", created_after=since)
    reply = await house.rest.call("POST", f"/v1/replays/{job['id']}/pause")
    assert reply.status in {200, 409}, reply  # it may be done already
    worker = house.stack.worker
    await end(worker)
    await house.stack.replaced([worker])
    state = (await house.rest.get(f"/v1/replays/{job['id']}"))["state"]
    assert state in {"paused", "done"}
    if state == "paused":
        await house.rest.post(f"/v1/replays/{job['id']}/resume")
    done = await ended(house, job)
    assert done["replayed"] == len(sent)
    made: list[str] = []

    async def all_again() -> bool:
        made[:] = [one.serial for one in feed.came()]
        return all(made.count(one.serial) >= 2 for one in sent)

    await until(all_again, "each of them again", within=30)
    for one in sent[::30]:
        mine = [
            each
            for each in await house.deliveries(one.id)
            if each["destination_id"] == feed.destination["id"]
        ]
        assert len(mine) == 2, "One delivery more, and no more than one."


async def test_a_replay_is_called_off(house: House) -> None:
    feed = await lane(house)
    await feed.arrived(await feed.send("a.b"))
    job = await replay(feed, state="all", created_after="2020-01-01T00:00:00Z")
    reply = await house.rest.call("POST", f"/v1/replays/{job['id']}/cancel")
    assert reply.status in {200, 409}, reply
    shown = await house.rest.get(f"/v1/replays/{job['id']}")
    assert shown["state"] in {"cancelled", "done"}
    again = await house.rest.call("POST", f"/v1/replays/{job['id']}/resume")
    assert again.status == 409, again


async def test_missed_needs_a_destination(house: House) -> None:
    reply = await house.rest.call(
        "POST", "/v1/replays", {"state": "missed"}, headers={"Idempotency-Key": "missed"}
    )
    assert reply.status in {400, 422}, reply


async def test_what_waits_is_called_off(house: House) -> None:
    feed = await lane(house, retry=NEVER)
    house.receiver.answer(feed.path, lambda _event, _earlier: 503)
    sent = [await feed.send("a.b") for _ in range(6)]
    waiting = [await state_of(feed, one.id, "pending") for one in sent]
    await until(lambda: len(feed.came()) >= 5, "first attempts")
    one = await house.rest.post(f"/v1/deliveries/{waiting[0]['id']}/cancel")
    assert (one["state"], one["reason"]) == ("cancelled", "cancelled_by_owner")
    batch = await house.rest.post(
        "/v1/deliveries/cancel", {"ids": [waiting[0]["id"], waiting[1]["id"], NOBODYS]}
    )
    statuses = [item["status"] for item in batch["items"]]
    assert statuses[0] in {200, 409}, "It is called off already."
    assert statuses[1] == 200
    assert statuses[2] == 404
    path = f"/v1/destinations/{feed.destination['id']}/cancel-pending"
    rest = await house.rest.post(path)
    assert rest == {"cancelled": 4, "has_more": False}
    house.receiver.answer(feed.path, lambda _event, _earlier: 204)
    for delivery in waiting:
        shown = await house.rest.get(f"/v1/deliveries/{delivery['id']}")
        assert shown["state"] == "cancelled"
    assert all(arrival.status == 503 for arrival in feed.came())


async def test_a_result_that_comes_after_the_cancel_changes_nothing(house: House) -> None:
    feed = await lane(house, timeout_s=2)
    house.receiver.slow(feed.path, 1.2)
    sent = await feed.send("a.b")
    await until(feed.came, "an attempt under way")
    delivery = await state_of(feed, sent.id, "pending")
    await house.rest.post(f"/v1/deliveries/{delivery['id']}/cancel")
    await asyncio.sleep(2.5)  # the call ends after 1.2, and nobody may write down what it came to
    shown = await house.rest.get(f"/v1/deliveries/{delivery['id']}")
    assert shown["state"] == "cancelled"
    assert len(feed.came()) == 1


@pytest.mark.parametrize("state", ["delivered"])
async def test_what_has_ended_is_not_called_off(house: House, state: str) -> None:
    feed = await lane(house)
    delivery = await state_of(feed, (await feed.send("a.b")).id, state)
    reply = await house.rest.call("POST", f"/v1/deliveries/{delivery['id']}/cancel")
    assert reply.status == 409
