"""The list of events: every filter, by payload too, and what no filter tells."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.answers import refused
from tests.acceptance.inbound.feed import Feed, open_feed
from tests.acceptance.inbound.registry import new_name, register

POINTERS = ["/data/customer", "/data/paid", "/data/total", "/data/lines/0/sku", "/data/a~1b~0c"]


@pytest.fixture(scope="module")
async def indexed(house: House) -> Feed:
    """A source of which members of the payload can be asked for."""
    return await open_feed(house, indexed_fields=POINTERS)


async def found(house: House, query: str) -> list[str]:
    return [item["id"] for item in await house.rest.all(f"/v1/events?{query}")]


def where(pointer: str, value: str) -> str:
    return f"payload={quote(f'{pointer}={value}', safe='')}"


async def stored(indexed: Feed, **data: Any) -> str:
    sent = await indexed.send("list.me", **data)
    await indexed.house.event(sent.id)
    return sent.id


async def test_by_source_type_and_time(house: House, indexed: Feed) -> None:
    other = await open_feed(house)
    name = new_name("listed")
    before = datetime.now(UTC)
    one, two = await indexed.send(name), await other.send(name)
    for sent in (one, two):
        await house.event(sent.id)
    after = datetime.now(UTC) + timedelta(seconds=1)
    span = f"received_after={quote(before.isoformat())}&received_before={quote(after.isoformat())}"

    assert await found(house, f"event_type={name}") == [two.id, one.id]
    assert await found(house, f"event_type={name}&source_id={indexed.id}") == [one.id]
    assert await found(house, f"event_type={name}&{span}") == [two.id, one.id]
    late = f"received_after={quote(after.isoformat())}"
    assert await found(house, f"event_type={name}&{late}") == []
    assert await found(house, f"source_id={other.id}&{span}") == [two.id]


async def test_by_status(house: House, indexed: Feed) -> None:
    made = await register(house, "quarantine")
    event_id = await indexed.judged(made["name"], "quarantined", total="x")

    assert event_id in await found(house, "status=quarantined")
    assert event_id not in await found(house, "status=accepted")
    assert await found(house, f"status=quarantined&event_type={made['name']}x") == []
    for status in ("nonsense", "", "accepted,held", "QUARANTINED"):
        refused(await house.rest.call("GET", f"/v1/events?status={status}"), {400, 422})


@pytest.mark.parametrize(
    ("pointer", "value", "text"),
    [
        ("/data/customer", "cus_é=1&x", "cus_é=1&x"),
        ("/data/customer", "", ""),
        ("/data/customer", "a" * 256, "a" * 256),
        ("/data/customer", 'quote " and \\ and \n', 'quote " and \\ and \n'),
        ("/data/paid", True, "true"),
        ("/data/total", 12.5, "12.5"),
        ("/data/total", 0, "0"),
        ("/data/customer", "' OR 1=1 --", "' OR 1=1 --"),
        ("/data/customer", "%", "%"),
    ],
)
async def test_by_a_member_of_the_payload(
    house: House, indexed: Feed, pointer: str, value: Any, text: str
) -> None:
    serial = new_serial()
    event_id = await stored(indexed, **{pointer.rpartition("/")[2]: value}, mark=serial)

    listed = await found(house, f"source_id={indexed.id}&{where(pointer, text)}")

    assert event_id in listed
    assert event_id not in await found(house, where(pointer, text + "x"))


async def test_by_a_member_of_a_list_and_one_with_an_odd_name(house: House, indexed: Feed) -> None:
    sku = new_serial()
    event_id = await stored(indexed, lines=[{"sku": sku}, {"sku": "no"}], **{"a/b~c": sku})

    assert await found(house, where("/data/lines/0/sku", sku)) == [event_id]
    assert await found(house, where("/data/a~1b~0c", sku)) == [event_id]


async def test_by_several_members_at_once(house: House, indexed: Feed) -> None:
    customer = new_serial()
    paid = await stored(indexed, customer=customer, paid=True)
    open_ = await stored(indexed, customer=customer, paid=False)
    one = where("/data/customer", customer)

    assert await found(house, one) == [open_, paid]
    assert await found(house, f"{one}&{where('/data/paid', 'true')}") == [paid]
    assert await found(house, f"{one}&{where('/data/paid', 'maybe')}") == []
    five = "&".join([one] * 5)
    refused(await house.rest.call("GET", f"/v1/events?{five}"), {400, 422})


async def test_pages_of_a_filtered_list(house: House, indexed: Feed) -> None:
    customer = new_serial()
    made = [await stored(indexed, customer=customer, number=n) for n in range(5)]
    path = f"/v1/events?limit=2&{where('/data/customer', customer)}"

    first = await house.rest.get(path)
    second = await house.rest.get(f"{path}&cursor={first['next_cursor']}")
    third = await house.rest.get(f"{path}&cursor={second['next_cursor']}")

    pages = [[item["id"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [made[:2:-1], made[2:0:-1], made[:1]]
    assert third["next_cursor"] is None
    elsewhere = f"/v1/events?limit=2&{where('/data/customer', 'other')}"
    stolen = await house.rest.call("GET", f"{elsewhere}&cursor={first['next_cursor']}")
    refused(stolen, {400, 422})


@pytest.mark.parametrize(
    "filter_",
    [
        *("nothing", "=x", "/data/nowhere=x", "data/customer=x", "/data/customer", "%00=x"),
        *("/data/~2=x", "/data/customer=" + "a" * 9_000),
    ],
)
async def test_what_is_not_indexed_is_refused(house: House, filter_: str) -> None:
    reply = await house.rest.call("GET", f"/v1/events?payload={filter_}")

    if filter_.endswith("a" * 9_000):
        assert reply.status in {200, 400, 414, 422, 431}, reply
    else:
        refused(reply, {400, 422})


async def test_another_tenants_index_is_none_of_ours(
    house: House, neighbour: House, indexed: Feed
) -> None:
    theirs = await open_feed(neighbour, indexed_fields=["/data/theirs", "/data/customer"])
    customer = new_serial()
    sent = await theirs.send("list.me", customer=customer, theirs="x")
    await neighbour.event(sent.id)

    assert await found(neighbour, where("/data/customer", customer)) == [sent.id]
    assert await found(house, where("/data/customer", customer)) == []
    refused(await house.rest.call("GET", f"/v1/events?{where('/data/theirs', 'x')}"), 422)
    # A source of another tenant filters everything away, and says nothing of itself.
    assert await found(house, f"source_id={theirs.id}") == []


async def test_the_list_says_what_each_event_is(house: House, indexed: Feed) -> None:
    event_id = await stored(indexed, customer="x")

    item = next(
        item
        for item in await house.rest.all(f"/v1/events?source_id={indexed.id}")
        if item["id"] == event_id
    )

    assert item["status"] == "accepted"
    assert item["event_type"] == "list.me"
    assert "payload" not in item
    assert "encrypted" not in item or item["encrypted"] is False
