"""What an owner sees: an event's timeline, a destination's numbers, dead letters in sum."""

from typing import Any

from tests.acceptance.house import House
from tests.acceptance.outbound.lanes import beside, delivered, lane, state_of
from tests.faults.waiting import until


def of(told: Any, kind: str) -> list[Any]:
    """Return a timeline's entries of a type."""
    return [entry for entry in told["entries"] if entry["type"] == kind]


async def test_a_timeline_tells_the_whole_way(house: House) -> None:
    feed = await lane(house, retry={"delays_s": [1, 3600]}, breaker="off")
    house.receiver.answer(feed.path, lambda _event, _earlier: 503)
    well = await beside(feed, headers={"x-key": "hide-me"})
    off = await beside(feed, filter="payload.data.amount > 10")
    sent = await feed.send("order.paid", amount=1)
    await well.arrived(sent)
    await until(lambda: len(feed.came()) == 2, "two attempts")

    async def told() -> Any:
        found = await house.rest.get(f"/v1/events/{sent.id}/timeline")
        return found if len(of(found, "attempt")) == 3 else None

    timeline = await until(told, "a timeline of three attempts")
    kinds = [entry["type"] for entry in timeline["entries"]]
    for kind in ("received", "verified", "stored", "matched", "attempt", "next_attempt"):
        assert kind in kinds, kinds
    assert kinds.index("received") < kinds.index("stored") < kinds.index("attempt")
    assert {one["destination_id"] for one in of(timeline, "matched")} >= {
        feed.destination["id"],
        well.destination["id"],
    }
    (verified,) = of(timeline, "verified")
    assert "stripe" in (verified["detail"] or "")
    attempts = of(timeline, "attempt")
    failed = [one for one in attempts if one["destination_id"] == feed.destination["id"]]
    assert [one["attempt"]["status"] for one in failed] == [503, 503]
    assert all(one["attempt"]["duration_ms"] >= 0 for one in failed)
    (good,) = [one for one in attempts if one["destination_id"] == well.destination["id"]]
    assert good["attempt"]["status"] == 204
    assert "hide-me" not in str(timeline)
    (following,) = of(timeline, "next_attempt")
    assert following["at"] > failed[-1]["at"]
    moments = [entry["at"] for entry in timeline["entries"] if entry["at"]]
    assert moments == sorted(moments)
    assert off.destination["id"] not in {one["destination_id"] for one in of(timeline, "matched")}


async def test_a_timeline_says_why_nobody_wanted_it(house: House) -> None:
    feed = await lane(house, event_types=["x.*"])
    by_filter = await beside(feed, filter="payload.data.amount > 10")
    sent = await feed.send("order.paid", amount=1)
    await house.event(sent.id)
    timeline = await house.rest.get(f"/v1/events/{sent.id}/timeline")
    assert timeline["matched"] == 0
    why = {one["destination_id"]: one["why"] for one in timeline["unmatched"]}
    assert why[feed.destination["id"]] == "type"
    assert why[by_filter.destination["id"]] == "filter"


async def test_a_transformed_request_is_shown_bounded(house: House) -> None:
    feed = await lane(
        house,
        transform="function transform(e) {"
        " return {payload: e.payload.serial + 'x'.repeat(900000)}; }",
    )
    sent = await feed.send("a.b")
    delivery = await delivered(feed, sent)
    (attempt,) = delivery["attempts"]
    assert attempt["request_body"].startswith(sent.serial)
    assert len(attempt["request_body"]) <= 64 * 1024


async def test_numbers_of_a_destination(house: House) -> None:
    feed = await lane(house, retry={"delays_s": [1]}, breaker="off")
    bad = {"on": False}
    house.receiver.answer(feed.path, lambda _event, _earlier: 500 if bad["on"] else 204)
    for _ in range(20):
        await feed.arrived(await feed.send("a.b"))
    bad["on"] = True
    dead = [await feed.send("a.b") for _ in range(3)]
    for one in dead:
        await state_of(feed, one.id, "dead")
    path = f"/v1/destinations/{feed.destination['id']}/stats?hours=1"

    async def counted() -> Any:
        found = await house.rest.get(path)
        return found if '"dead":3' in str(found).replace("'", '"').replace(" ", "") else None

    numbers = await until(counted, "three dead in the numbers")
    text = str(numbers).replace("'", '"').replace(" ", "")
    assert '"delivered":20' in text
    assert '"failed":6' in text, "Two attempts each."
    for name in ("p50", "p95", "p99"):
        assert name in text
    for hours in (0, 169, "x"):
        reply = await house.rest.call(
            "GET", f"/v1/destinations/{feed.destination['id']}/stats?hours={hours}"
        )
        assert reply.status in {400, 422}, reply


async def test_dead_letters_in_sum(house: House) -> None:
    feed = await lane(house, retry={"count": 0}, breaker="off")
    scripted = await beside(feed, transform="function transform(e) { throw new Error('no'); }")
    house.receiver.answer(feed.path, lambda _event, _earlier: 500)
    for _ in range(3):
        sent = await feed.send("a.b")
        await state_of(feed, sent.id, "dead")
        await state_of(scripted, sent.id, "dead")
    summary = await house.rest.get("/v1/dead-letters/summary")
    text = str(summary)
    assert "transform_failed" in text
    assert feed.destination["id"] in text
    assert scripted.destination["id"] in text
    other = [
        item
        for group in summary.values()
        if isinstance(group, list)
        for item in group
        if isinstance(item, dict) and item.get("destination_id") == feed.destination["id"]
    ]
    assert sum(item["count"] for item in other) in {3, 6}, summary
