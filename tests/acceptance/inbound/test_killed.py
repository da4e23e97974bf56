"""Programs that die half-way: what was promised holds, and nothing is done twice for it."""

import asyncio
from typing import Any

import aiohttp

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.feed import Feed, open_feed
from tests.acceptance.inbound.listener import Listener
from tests.acceptance.inbound.registry import register
from tests.faults.stack import end
from tests.faults.waiting import until

HELD = 400


async def test_a_worker_that_dies_while_it_releases_releases_each_once(house: House) -> None:
    feed = await open_feed(house)
    await house.rest.post(f"{feed.at}/pause", {"mode": "buffer"})
    await feed.judged("order.held", "held")
    sent = [(await feed.send("order.held", number=number)).id for number in range(HELD)]
    await feed.event(sent[-1], "held")
    worker = house.stack.worker
    await house.rest.post(f"{feed.at}/resume")

    await until(feed.came, "the first delivery", step=0.001)
    await end(worker)
    await house.stack.replaced([worker])

    for event_id in (sent[0], sent[HELD // 2], sent[-1]):
        await house.settled(event_id, "delivered", within=30)

    async def all_released() -> bool:
        return not await house.rest.all(f"/v1/events?status=held&source_id={feed.id}")

    await until(all_released, "an end of what is held", within=30)
    await until(
        lambda: set(sent) <= {arrival.event_id for arrival in feed.came()},
        "every delivery",
        within=30,
    )
    for event_id in sent[:: HELD // 10]:
        assert len(await house.deliveries(event_id)) == 1


async def test_a_worker_that_dies_finds_what_was_to_be_released(house: House) -> None:
    feed = await open_feed(house)
    made = await register(house, "quarantine")
    await feed.judged(made["name"], "quarantined", total="x")
    sent = [(await feed.send(made["name"], total="x")).id for _ in range(5)]
    for event_id in sent:
        await feed.event(event_id, "quarantined")
    worker = house.stack.worker
    await end(worker)

    replies = [await house.rest.call("POST", f"/v1/events/{one}/release") for one in sent]

    assert {reply.status for reply in replies} == {200}
    await house.stack.replaced([worker])
    for event_id in sent:
        await feed.event(event_id, "released")
        await house.settled(event_id, "delivered", within=30)
        assert len(await house.deliveries(event_id)) == 1


async def test_a_gateway_that_dies_while_it_publishes_publishes_nothing_twice(
    house: House,
) -> None:
    path = f"/{new_serial()}"
    kind = f"own.{new_serial()}"
    await house.destination(path, event_types=[kind])
    wishes = [
        {"id": (serial := new_serial()), "event_type": kind, "payload": {"serial": serial}}
        for _ in range(60)
    ]
    victim = house.stack.gateway_processes()[0]

    async def persist(wish: dict[str, Any]) -> str:
        """Publish it until somebody says that it is stored."""

        async def once() -> str | None:
            caller = house.stack.rest(house.key)
            try:
                reply = await caller.call("POST", "/v1/events", wish)
            except (aiohttp.ClientError, OSError):
                return None
            finally:
                await caller.__aexit__()
            return reply.json()["id"] if reply.status == 202 else None

        found = await until(once, f"an answer for {wish['id']}", within=30)
        assert found is not None
        return found

    publishing = asyncio.gather(*(persist(wish) for wish in wishes))
    await asyncio.sleep(0.05)
    victim.kill()
    ids = await publishing
    await house.stack.replaced([victim])

    for wish, event_id in zip(wishes, ids, strict=True):
        await house.receiver.first(str(wish["id"]), path=path)
        original = (await house.event(event_id))["id"]
        assert len(await house.deliveries(original)) == 1
    taken = house.receiver.taken()
    assert all(len(taken[str(wish["id"])]) == 1 for wish in wishes), "One event each."


async def test_a_listener_misses_nothing_while_the_broker_restarts(house: House) -> None:
    feed: Feed = await open_feed(house)
    async with Listener(house.stack.url, house.key, {"source_id": feed.id}) as listener:
        before = await feed.send("live.before")
        await listener.hears(before.id)
        broker = house.stack.nats
        await end(broker)
        await house.stack.replaced([broker])
        sent: list[str] = []

        async def taken() -> bool:
            reply = (await feed.send("live.after")).reply
            if reply.status == 202:
                sent.append(reply.json()["id"])
            return len(sent) >= 5

        await until(taken, "webhooks that are taken again", within=30)
        if listener.ended.is_set():
            async with Listener(
                house.stack.url, house.key, {"source_id": feed.id}, before.id
            ) as again:
                for event_id in sent:
                    await again.hears(event_id, within=30)
        else:
            for event_id in sent:
                await listener.hears(event_id, within=30)
