"""Disable and enable, with everything in between replayable: the whole stack, under webhooks."""

import asyncio
from collections import Counter
from typing import Any

from crossdock.samples.sender import new_serial
from tests.acceptance.house import Door, House
from tests.faults.waiting import until

SENDERS = 4
EACH = 12
"""Webhooks in each of the three parts."""


async def test_nothing_is_missed_and_nothing_comes_twice(house: House) -> None:
    """Webhooks keep coming while it is switched off and on: also those under way at that moment."""
    door: Door = await house.door("stripe")
    path = f"/{new_serial()}"
    made = await house.destination(path, source_ids=[door.source["id"]])
    at = f"/v1/destinations/{made['id']}"
    accepted: list[str] = []
    is_over = asyncio.Event()

    async def send() -> None:
        while not is_over.is_set():
            accepted.append(await door.accepted())

    async def come(count: int) -> None:
        goal = len(accepted) + count
        await until(lambda: len(accepted) >= goal, "more webhooks")

    async with asyncio.TaskGroup() as senders:
        for _ in range(SENDERS):
            senders.create_task(send())
        await come(EACH)
        await until(lambda: house.receiver.at(path), "a delivery")
        await house.rest.post(f"{at}/disable")
        await come(EACH)
        await house.rest.post(f"{at}/enable")
        wish = {"state": "missed", "destination_id": made["id"]}
        key = {"idempotency-key": new_serial()}
        replay = (await house.rest.call("POST", "/v1/replays", wish, headers=key)).ok()
        await come(EACH)
        is_over.set()

    async def is_done() -> Any:
        found = await house.rest.get(f"/v1/replays/{replay['id']}")
        return found if found["state"] == "done" else None

    done = await until(is_done, "an end of the replay")
    assert done["replayed"] > 0
    assert done["progress"] == 1
    await until(lambda: len(house.receiver.at(path)) >= len(accepted), "all deliveries")
    came = Counter(arrival.event_id for arrival in house.receiver.at(path))
    assert came == Counter(accepted)
    story = await house.rest.get(f"/v1/events/{accepted[-1]}/timeline")
    kinds = [entry["type"] for entry in story["entries"]]
    assert kinds[:3] == ["received", "verified", "stored"]
    assert kinds[-2:] == ["attempt", "delivered"]

    async def are_counted() -> bool:
        total = (await house.rest.get(f"{at}/stats"))["total"]
        return bool(total["delivered"] == len(accepted) and total["p99_ms"] is not None)

    await until(are_counted, "the counts")
