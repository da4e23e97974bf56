"""Another tenant, with every right in its own house, gets and changes nothing of this one's."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.acceptance.house import House
from tests.acceptance.inbound.conftest import roomy
from tests.acceptance.inbound.feed import Feed
from tests.acceptance.outbound.lanes import lane, shown, state_of
from tests.faults.receiver import Receiver
from tests.faults.stack import Stack

NOT_FOUND = 404


@pytest.fixture(scope="module")
async def stranger(stack: Stack, receiver: Receiver) -> AsyncIterator[House]:
    """A tenant that has nothing to do with the house."""
    opened = await roomy(stack, receiver, "a-stranger")
    yield opened
    await opened.close()


async def furnished(house: House) -> tuple[Feed, dict[str, str]]:
    """Return a lane with a dead letter, and everything of it by name."""
    feed = await lane(house, retry={"count": 0})
    house.receiver.answer(feed.path, lambda _event, _earlier: 400)
    sent = await feed.send("a.b", secret_word="xyzzy")
    dead = await state_of(feed, sent.id, "dead")
    job = await house.replay({"destination_id": feed.destination["id"], "reason": "none_such"})
    return feed, {
        "event": sent.id,
        "delivery": dead["id"],
        "destination": feed.destination["id"],
        "replay": job["id"],
        "source": feed.id,
    }


READS = [
    "/v1/events/{event}",
    "/v1/events/{event}/timeline",
    "/v1/events/{event}/deliveries",
    "/v1/deliveries/{delivery}",
    "/v1/dead-letters/{delivery}",
    "/v1/destinations/{destination}",
    "/v1/destinations/{destination}/stats",
    "/v1/destinations/{destination}/health",
    "/v1/destinations/{destination}/inbox",
    "/v1/replays/{replay}",
]
WRITES = [
    ("POST", "/v1/deliveries/{delivery}/cancel", None),
    ("POST", "/v1/deliveries/{delivery}/replay", None),
    ("POST", "/v1/destinations/{destination}/cancel-pending", None),
    ("POST", "/v1/destinations/{destination}/disable", None),
    ("POST", "/v1/destinations/{destination}/enable", None),
    ("POST", "/v1/destinations/{destination}/rotate-secret", {}),
    ("PATCH", "/v1/destinations/{destination}", {"name": "mine now"}),
    ("DELETE", "/v1/destinations/{destination}/inbox", None),
    ("DELETE", "/v1/destinations/{destination}", None),
    ("POST", "/v1/replays/{replay}/pause", None),
    ("POST", "/v1/replays/{replay}/resume", None),
    ("POST", "/v1/replays/{replay}/cancel", None),
    ("POST", "/v1/events/{event}/replay", None),
]


async def test_nothing_is_there_for_a_stranger(house: House, stranger: House) -> None:
    feed, names = await furnished(house)
    before = await shown(feed)
    for path in READS:
        reply = await stranger.rest.call("GET", path.format(**names))
        assert reply.status == NOT_FOUND, (path, reply)
        assert b"xyzzy" not in reply.body
    for method, path, body in WRITES:
        reply = await stranger.rest.call(method, path.format(**names), body)
        assert reply.status == NOT_FOUND, (method, path, reply)
    assert await shown(feed) == before
    for path, _ in (("/v1/deliveries", ""), ("/v1/dead-letters", ""), ("/v1/replays", "")):
        assert await stranger.rest.all(path) == []
    summary = (await stranger.rest.call("GET", "/v1/dead-letters/summary")).body
    assert names["destination"].encode() not in summary


async def test_ids_of_another_tenant_in_bodies_lead_nowhere(house: House, stranger: House) -> None:
    feed, names = await furnished(house)
    came = len(feed.came())
    for path in ("/v1/deliveries/cancel", "/v1/deliveries/replay"):
        reply = await stranger.rest.call("POST", path, {"ids": [names["delivery"]]})
        found = reply.json()
        statuses = [item["status"] for item in found.get("items", [])] or [reply.status]
        assert statuses == [NOT_FOUND], (path, reply)
    wishes: list[dict[str, Any]] = [
        {"delivery_ids": [names["delivery"]]},
        {"event_ids": [names["event"]]},
        {"state": "missed", "destination_id": names["destination"]},
        {"state": "all", "destination_id": names["destination"]},
        {"source_id": names["source"]},
    ]
    for number, wish in enumerate(wishes):
        key = {"Idempotency-Key": f"stranger-{number}"}
        reply = await stranger.rest.call("POST", "/v1/replays", wish, headers=key)
        assert reply.status in {201, 202, 404, 422}, (wish, reply)
    dry = await stranger.rest.call(
        "POST", "/v1/routing/dry-run", {"event_ids": [names["event"]], "filter": "true"}
    )
    assert b"xyzzy" not in dry.body
    dry = await stranger.rest.call(
        "POST",
        "/v1/routing/dry-run",
        {"event_ids": [names["event"]], "destination_id": names["destination"]},
    )
    assert b"xyzzy" not in dry.body
    assert (await house.rest.get(f"/v1/deliveries/{names['delivery']}"))["state"] == "dead"
    assert len(await house.deliveries(names["event"])) == 1
    assert len(feed.came()) == came


async def test_a_destination_hears_of_no_other_tenants_source(
    house: House, stranger: House
) -> None:
    feed, names = await furnished(house)
    reply = await stranger.rest.call(
        "POST",
        "/v1/destinations",
        {
            "name": "listening in",
            "url": f"{stranger.receiver.url}/listening",
            "source_ids": [names["source"]],
        },
    )
    sent = await feed.send("a.b")
    await state_of(feed, sent.id, "dead")
    assert reply.status in {201, 404, 422}
    assert stranger.receiver.at("/listening") == []
