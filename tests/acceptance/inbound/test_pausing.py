"""A source that pauses: it refuses, or it keeps what comes until it goes on."""

import asyncio
from typing import Any

import pytest

from tests.acceptance.house import House
from tests.acceptance.inbound.answers import refused
from tests.acceptance.inbound.feed import Feed, Sent
from tests.acceptance.inbound.listener import Listener
from tests.acceptance.inbound.registry import register
from tests.faults.waiting import until


async def pause(feed: Feed, mode: str | None = "buffer") -> Any:
    """Pause a source and wait until the gateways do what it says."""
    body = None if mode is None else {"mode": mode}
    told = await feed.house.rest.post(f"{feed.at}/pause", body)
    if mode == "buffer":
        await feed.judged("before.the.pause", "held")
    else:

        async def is_refused() -> bool:
            return (await feed.send("before.the.pause")).reply.status == 403

        await until(is_refused, "a refusal", within=5)
    return told


async def resume(feed: Feed) -> Any:
    return await feed.house.rest.post(f"{feed.at}/resume")


async def released(feed: Feed, sent: list[Sent]) -> None:
    """Wait until all of these are delivered, and check that each is once."""
    for one in sent:
        await feed.house.settled(one.id, "delivered")
    await feed.passed()
    came = [arrival.serial for arrival in feed.came()]
    assert [came.count(one.serial) for one in sent] == [1] * len(sent)


@pytest.mark.parametrize("mode", [None, "refuse"])
async def test_a_pause_refuses_unless_told_otherwise(feed: Feed, mode: str | None) -> None:
    told = await pause(feed, mode)

    assert (told["state"], told["pause_mode"]) == ("paused", "refuse")
    refused((await feed.send("a.b")).reply, 403, "source-paused")
    assert (await resume(feed))["pause_mode"] is None

    async def taken() -> Sent | None:
        sent = await feed.send("a.b")
        return sent if sent.reply.status == 202 else None

    sent = await until(taken, "a webhook that is taken", within=5)
    assert sent is not None
    await feed.arrived(sent)


async def test_what_is_held_is_delivered_once_and_in_order_after_resuming(
    house: House, feed: Feed
) -> None:
    told = await pause(feed)
    assert (told["state"], told["pause_mode"]) == ("paused", "buffer")
    sent = [await feed.send("order.held", number=number) for number in range(20)]
    again = await feed.send_raw(sent[0].body, serial=sent[0].serial)
    for one in sent:
        await feed.event(one.id, "held")
        assert await house.deliveries(one.id) == []
    assert (await house.event(again.id))["id"] == sent[0].id
    held = await house.rest.all(f"/v1/events?status=held&source_id={feed.id}")
    assert {one.id for one in sent} <= {item["id"] for item in held}
    held_serials = {one.serial for one in sent}
    assert not held_serials & {arrival.serial for arrival in feed.came()}

    await resume(feed)

    await released(feed, sent)
    for one in sent:
        assert (await house.event(one.id))["status"] == "accepted"
    made = [(await house.deliveries(one.id))[0]["id"] for one in sent]
    assert made == sorted(made), "They are due in the order in which they came."
    assert await house.rest.all(f"/v1/events?status=held&source_id={feed.id}") == []


async def test_a_pause_in_between_stops_and_loses_nothing(house: House, feed: Feed) -> None:
    await pause(feed)
    sent = [await feed.send("order.held", number=number) for number in range(10)]
    await feed.event(sent[-1].id, "held")

    for _ in range(4):
        await resume(feed)
        await house.rest.post(f"{feed.at}/pause", {"mode": "buffer"})
    sent += [await feed.send("order.late") for _ in range(5)]
    await resume(feed)

    await released(feed, sent)


async def test_pausing_and_resuming_at_once_loses_nothing(house: House, feed: Feed) -> None:
    await pause(feed)
    sent = [await feed.send("order.held", number=number) for number in range(5)]
    await feed.event(sent[-1].id, "held")
    verbs = ["resume", "pause"] * 5

    async def act(verb: str) -> Any:
        body = {"mode": "buffer"} if verb == "pause" else None
        return await house.rest.call("POST", f"{feed.at}/{verb}", body)

    replies = await asyncio.gather(*(act(verb) for verb in verbs))

    assert {reply.status for reply in replies} <= {200, 409}, replies
    await resume(feed)
    await released(feed, sent)


async def test_what_was_held_before_a_refusing_pause_stays_until_it_goes_on(
    house: House, feed: Feed
) -> None:
    await pause(feed)
    sent = await feed.send("order.held")
    await feed.event(sent.id, "held")

    await pause(feed, "refuse")

    assert (await house.event(sent.id))["status"] == "held"
    assert await house.deliveries(sent.id) == []
    await resume(feed)
    await released(feed, [sent])


async def test_what_is_held_is_judged_as_it_came(house: House, feed: Feed) -> None:
    warned = await register(house, "warn")
    stopped = await register(house, "quarantine")
    await feed.judged(stopped["name"], "quarantined", total="x")
    await pause(feed)
    bad = await feed.send(warned["name"], total="x")
    await feed.event(bad.id, "held")
    worse = await feed.send(stopped["name"], total="x")

    await resume(feed)

    await released(feed, [bad])
    assert (await house.event(bad.id))["status"] == "warned"
    assert (await house.event(worse.id))["status"] == "quarantined"
    assert await house.deliveries(worse.id) == []


async def test_what_is_held_is_not_announced_until_it_goes_on(house: House, feed: Feed) -> None:
    await pause(feed)
    query = {"source_id": feed.id}
    async with Listener(house.stack.url, house.key, query) as ours:
        sent = await feed.send("order.held")
        await feed.event(sent.id, "held")
        assert sent.id not in ours.ids
        await resume(feed)
        assert (await ours.hears(sent.id))["status"] == "accepted"
        assert ours.ids.count(sent.id) == 1


@pytest.mark.parametrize("body", [{"mode": "later"}, {"mode": None}, {"hold": True}, [], "buffer"])
async def test_a_pause_of_another_kind_is_refused(feed: Feed, body: Any) -> None:
    reply = await feed.house.rest.call("POST", f"{feed.at}/pause", body)

    refused(reply, {400, 422})
    assert (await feed.house.rest.get(feed.at))["state"] == "active"


async def test_a_pause_minds_whom_it_overtakes(feed: Feed) -> None:
    rest = feed.house.rest
    tag = (await rest.call("GET", feed.at)).headers["etag"]
    await rest.call("PATCH", feed.at, {"max_body_bytes": 777})

    reply = await rest.call(
        "POST", f"{feed.at}/pause", {"mode": "buffer"}, headers={"if-match": tag}
    )

    refused(reply, 412)


async def test_what_is_held_is_delivered_when_its_source_is_deleted(
    house: House, feed: Feed
) -> None:
    await pause(feed)
    sent = await feed.send("order.held")
    await feed.event(sent.id, "held")
    for verb in ("release", "drop"):
        refused(await house.rest.call("POST", f"/v1/events/{sent.id}/{verb}"), 409, "conflict")

    assert (await house.rest.call("DELETE", feed.at)).status == 204

    await house.settled(sent.id, "delivered")
    assert (await house.event(sent.id))["status"] == "accepted"
