"""Which events a destination gets: by source, by type, and by a filter over payload and headers."""

from typing import Any

import pytest

from tests.acceptance.house import House
from tests.acceptance.outbound.lanes import beside, lane, patch, refused, shown
from tests.faults.waiting import until

TRUE_OF_TWO = [
    "payload.data.amount > 100",
    "payload.data.amount > 100.0 && payload.data.currency == 'eur'",
    "payload.data.currency in ['eur', 'usd'] && payload.data.amount >= 200",
    "event.type.startsWith('order.') && payload.data.amount == 200",
    "event.type == 'order.paid' && !(payload.data.amount < 200)",
    "payload.data.tags.exists(t, t == 'big')",
    "payload.data.name.matches('^B')",
    "has(payload.data.big) && payload.data.big",
    "size(payload.data.tags) == 2",
    "event.content_type.startsWith('application/json') && payload.data.amount == 200",
    "event.received_at > timestamp('2020-01-01T00:00:00Z') && payload.data.amount > 150",
    "event.source_id != '' && event.id.startsWith('evt_') && payload.data.amount > 150",
]
SMALL: dict[str, Any] = {"amount": 50, "currency": "eur", "tags": ["small"], "name": "A"}
BIG: dict[str, Any] = {
    "amount": 200,
    "currency": "eur",
    "tags": ["big", "x"],
    "name": "B",
    "big": True,
}


@pytest.mark.parametrize("filter_", TRUE_OF_TWO)
async def test_only_what_its_filter_takes(house: House, filter_: str) -> None:
    feed = await lane(house, filter=filter_)
    everything = await beside(feed)
    small = await feed.send("order.paid", **SMALL)
    big = await feed.send("order.paid", **BIG)
    await everything.arrived(small)
    await everything.arrived(big)
    await feed.arrived(big)
    assert [one.serial for one in feed.came()] == [big.serial]
    assert (await shown(feed))["filter"] == filter_


async def test_a_filter_sees_headers_by_their_lower_case_names(house: House) -> None:
    feed = await lane(house, filter="'x-shop-topic' in headers && headers['x-shop-topic'] == 'big'")
    everything = await beside(feed)
    sent = []
    for topic in ({}, {"X-Shop-Topic": "small"}, {"X-Shop-Topic": "big"}):
        webhook = feed.door.webhook(headers=topic)
        await feed.door.accepted(webhook)
        sent.append(webhook)
    for webhook in sent:
        await house.receiver.first(webhook.serial, path=everything.path)
    await house.receiver.first(sent[2].serial, path=feed.path)
    assert [one.serial for one in feed.came()] == [sent[2].serial]


@pytest.mark.parametrize(
    "filter_",
    [
        "payload.data.nobody.has.this == 1",
        "payload.data.amount + 'x' == 'y'",
        "payload.data.tags[17] == 'x'",
        "payload.data.amount / 0 == 1",
        "int(payload.data.currency) == 1",
        "payload.data.amount",
    ],
)
async def test_a_filter_that_errs_takes_nothing_and_stops_no_one(
    house: House, filter_: str
) -> None:
    feed = await lane(house)
    reply = await house.rest.call(
        "PATCH", f"/v1/destinations/{feed.destination['id']}", {"filter": filter_}
    )
    if reply.status == 422:
        return  # it could be told when it was saved
    assert reply.status == 200, reply
    others = await beside(feed, filter="payload.data.amount == 200")
    sent = await feed.send("order.paid", **BIG)
    await others.arrived(sent)
    alone = await feed.send("order.paid", **SMALL)
    assert (await house.event(alone.id))["matched"] == 0
    assert feed.came() == []
    told = await house.rest.get(f"/v1/events/{alone.id}/timeline")
    (why,) = [one for one in told["unmatched"] if one["destination_id"] == feed.destination["id"]]
    assert why["why"] == "filter_error", why
    assert why["detail"]


@pytest.mark.parametrize(
    "filter_",
    [
        "payload.",
        "payload.a ==",
        "(" * 500 + "true" + ")" * 500,
        "!" * 2000 + "true",
        " || ".join(["true"] * 900),
        "no_such_variable == 1",
        "payload.data.name.matches('(')",
        "true; false",
        "x" * 4097,
        "[" * 300 + "]" * 300,
        "payload" + ".a" * 2000,
    ],
    ids=lambda text: text[:16],
)
async def test_a_filter_that_is_none_is_told_so(house: House, filter_: str) -> None:
    wish = {"name": "odd", "url": f"{house.receiver.url}/odd", "filter": filter_}
    reply = await house.rest.call("POST", "/v1/destinations", wish)
    if reply.status == 201:
        # It may be long and right; then it must be harmless.
        await _harmless(house, reply.json()["id"])
        return
    assert reply.status in {400, 422}, reply
    (error, *_) = reply.json()["errors"]
    assert error["pointer"] == "/filter"


async def _harmless(house: House, destination_id: str) -> None:
    feed = await lane(house)
    await feed.arrived(await feed.send("order.paid"))
    await house.rest.call("DELETE", f"/v1/destinations/{destination_id}")


NESTED = "payload.data.l.all(a, payload.data.l.all(b, payload.data.l.all(c, a + b + c >= 0)))"
DEEPER = "payload.data.l.map(a, payload.data.l.map(b, payload.data.l.map(c, payload.data.l)))"
DOUBLING = "size(" + "[payload.data.s" + " + payload.data.s" * 200 + "]) > 0"


@pytest.mark.parametrize(
    "filter_",
    [
        NESTED,
        f"size({DEEPER}) > 0",
        DOUBLING,
        "payload.data.s.matches('(a+)+$')",
        "payload.data.s.matches('(a|aa)*b' )",
    ],
    ids=["all-all-all", "map-map-map", "doubling", "regex", "regex-2"],
)
async def test_a_filter_that_explodes_is_cut_short(house: House, filter_: str) -> None:
    feed = await lane(house)
    path = f"/v1/destinations/{feed.destination['id']}"
    reply = await house.rest.call("PATCH", path, {"filter": filter_})
    if reply.status in {400, 422}:
        return
    everything = await beside(feed)
    bombs = [await feed.send("order.paid", l=list(range(1000)), s="a" * 100_000) for _ in range(5)]
    quick = await feed.send("order.paid", l=[1], s="a")
    for sent in (*bombs, quick):
        await everything.arrived(sent)


@pytest.mark.parametrize("body", [b"no json", b"\xff\xfe", b"", b"[1, 2]", b"null", b'"text"'])
async def test_a_payload_that_is_no_object_harms_no_filter(house: House, body: bytes) -> None:
    feed = await lane(house, filter="payload == null || payload.data.amount > 1")
    everything = await beside(feed)
    sent = await feed.send_raw(body, content_type="text/plain")
    arrival = await house.event(sent.id)
    assert arrival["id"] == sent.id

    async def is_through() -> bool:
        states = await house.deliveries(sent.id)
        mine = [one for one in states if one["destination_id"] == everything.destination["id"]]
        return bool(mine) and mine[0]["state"] == "delivered"

    await until(is_through, "a delivery to who takes everything")


async def test_types_are_patterns(house: House) -> None:
    feed = await lane(house, event_types=["order.*", "*.refunded"])
    everything = await beside(feed)
    wanted = [await feed.send(one) for one in ("order.paid", "charge.refunded", "order.a.b")]
    unwanted = [await feed.send(one) for one in ("order", "orders.paid", "refunded")]
    for sent in (*wanted, *unwanted):
        await everything.arrived(sent)
    for sent in wanted:
        await feed.arrived(sent)
    assert {one.serial for one in feed.came()} == {one.serial for one in wanted}


async def test_what_nobody_wants_is_kept_and_says_so(house: House) -> None:
    feed = await lane(house, filter="payload.data.amount > 100")
    unwanted = await feed.send("order.paid", amount=1)
    wanted = await feed.send("order.paid", amount=1000)
    await feed.arrived(wanted)
    event = await house.event(unwanted.id)
    assert event["matched"] == 0
    assert (await house.event(wanted.id))["matched"] == 1
    path = f"/v1/events?matched=none&source_id={feed.id}"
    assert [one["id"] for one in await house.rest.all(path)] == [unwanted.id]
    assert await house.deliveries(unwanted.id) == []


async def test_a_filter_counts_from_the_next_event_on(house: House) -> None:
    feed = await lane(house)
    everything = await beside(feed)
    await feed.arrived(await feed.send("a.b", n=1))
    await patch(feed, filter="payload.data.n > 10")

    async def is_filtered() -> bool:
        sent = await feed.send("a.b", n=1)
        await everything.arrived(sent)
        await everything.passed()
        return sent.serial not in {one.serial for one in feed.came()}

    await until(is_filtered, "a filter in force")
    await feed.arrived(await feed.send("a.b", n=11))
    await patch(feed, filter=None)
    assert (await shown(feed))["filter"] is None


async def test_a_dry_run_says_what_would_be(house: House) -> None:
    feed = await lane(house)
    sent = await feed.send("order.paid", amount=5)
    await house.event(sent.id)
    wish: dict[str, Any] = {
        "event_ids": [sent.id],
        "filter": "payload.data.amount > 1",
        "transform": "function transform(event) {"
        " return {payload: {twice: event.payload.data.amount * 2}}; }",
    }
    reply = await house.rest.call("POST", "/v1/routing/dry-run", wish)
    assert reply.status == 200, reply
    assert '"twice":10' in reply.body.decode().replace(" ", "").replace("\\", "")
    assert len(feed.came()) <= 1, "Nothing is sent."


async def test_too_much_is_refused(house: House) -> None:
    await refused(house, "/filter", filter="'" + "ü" * 2100 + "' == ''")
    await refused(house, "/transform", transform="function transform(e) {}" + " " * 32_768)
