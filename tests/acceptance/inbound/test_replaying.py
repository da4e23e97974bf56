"""Replay does not step round quarantine, a refusal of the owner, or a pause."""

from typing import Any

import pytest

from tests.acceptance.house import House
from tests.acceptance.inbound.answers import refused
from tests.acceptance.inbound.feed import Feed, open_feed
from tests.acceptance.inbound.registry import register
from tests.faults.waiting import until


@pytest.fixture(scope="module")
async def kept_back(house: House) -> tuple[Feed, dict[str, str]]:
    """A source with an event of each status that is not delivered."""
    feed = await open_feed(house)
    made = await register(house, "quarantine")
    quarantined = await feed.judged(made["name"], "quarantined", total="x")
    dropped = await feed.judged(made["name"], "quarantined", total="y")
    await house.rest.post(f"/v1/events/{dropped}/drop")
    await house.rest.post(f"{feed.at}/pause", {"mode": "buffer"})
    held = await feed.judged("held.back", "held")
    return feed, {"quarantined": quarantined, "dropped": dropped, "held": held}


STATUSES = ("quarantined", "dropped", "held")


@pytest.mark.parametrize(
    "wish", [{}, {"state": "delivered"}, {"event_types": ["*"]}, {"destination": True}]
)
async def test_nor_are_many(
    house: House, kept_back: tuple[Feed, dict[str, str]], wish: dict[str, Any]
) -> None:
    feed, ids = kept_back
    asked = {"source_id": feed.id} | wish
    if asked.pop("destination", None):
        asked["destination_id"] = feed.destination["id"]
    key = {"idempotency-key": f"{feed.id}{len(wish)}{sorted(wish)}".replace(" ", "")}
    replay = (await house.rest.call("POST", "/v1/replays", asked, headers=key)).ok()

    async def is_done() -> bool:
        state = (await house.rest.get(f"/v1/replays/{replay['id']}"))["state"]
        assert state in {"pending", "running", "done"}, state
        return bool(state == "done")

    await until(is_done, "an end of the replay")
    for event_id in ids.values():
        assert await house.deliveries(event_id) == []
    assert not set(ids.values()) & {arrival.event_id for arrival in feed.came()}


@pytest.mark.parametrize("status", STATUSES)
async def test_one_that_was_never_delivered_is_not_replayed(
    house: House, kept_back: tuple[Feed, dict[str, str]], status: str
) -> None:
    feed, ids = kept_back

    reply = await house.rest.call("POST", f"/v1/events/{ids[status]}/replay")

    refused(reply, 409, "conflict")
    assert await house.deliveries(ids[status]) == []
    assert ids[status] not in {arrival.event_id for arrival in feed.came()}
