"""A tenant's own events: published one or many at once, exactly once by their ids."""

import asyncio
import base64
from typing import Any, Final

import msgspec
import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.answers import refused
from tests.acceptance.inbound.registry import new_name, register
from tests.faults.rest import Reply
from tests.faults.waiting import until

EVENTS: Final = "/v1/events"
BATCH: Final = "/v1/events/batch"
PATH: Final = "/published"


@pytest.fixture(scope="module", autouse=True)
async def endpoint(house: House) -> Any:
    """Where this tenant's customers take its events."""
    return await house.destination(PATH, event_types=["own.*", "order.*"])


def wish(**fields: Any) -> dict[str, Any]:
    serial = new_serial()
    return {"id": serial, "event_type": "own.made", "payload": {"serial": serial}} | fields


async def publish(house: House, **fields: Any) -> Reply:
    return await house.rest.call("POST", EVENTS, wish(**fields))


async def own_source(house: House) -> Any:
    """Return the source that a tenant's own events belong to."""
    return next(item for item in await house.rest.all("/v1/sources") if item["scheme"] == "api")


async def test_an_own_event_is_stored_and_delivered(house: House) -> None:
    body = wish()

    reply = await house.rest.call("POST", EVENTS, body)

    assert reply.status == 202, reply
    event_id = reply.json()["id"]
    arrival = await house.receiver.first(body["id"], path=PATH)
    assert arrival.event_id == event_id
    assert msgspec.json.decode(arrival.body) == body["payload"]
    assert arrival.headers["content-type"].startswith("application/json")
    event = await house.event(event_id)
    assert event["event_type"] == "own.made"
    assert event["provider_id"] == body["id"]
    source = await own_source(house)
    assert event["source_id"] == source["id"]
    assert source["ingest_url"] is None


async def test_bytes_of_any_type_are_published_as_they_are(house: House) -> None:
    serial = new_serial()
    body = b"\x00\xff" + serial.encode() + b"\r\n"
    fields = {"payload_base64": base64.b64encode(body).decode(), "content_type": "image/x-odd"}
    asked = wish(id=serial) | fields
    del asked["payload"]

    reply = await house.rest.call("POST", EVENTS, asked)

    assert reply.status == 202, reply
    arrival = await house.receiver.first(serial, path=PATH)
    assert arrival.body == body
    assert arrival.headers["content-type"] == "image/x-odd"


async def test_the_same_id_again_and_at_once_is_one_event_and_one_delivery(house: House) -> None:
    body = wish()
    callers = [house.stack.rest(house.key) for _ in range(6)]
    try:
        replies = await asyncio.gather(
            *(caller.call("POST", EVENTS, body) for caller in callers for _ in range(4))
        )
    finally:
        for caller in callers:
            await caller.__aexit__()
    replies.append(await house.rest.call("POST", EVENTS, body | {"payload": {"other": 1}}))

    assert {reply.status for reply in replies} == {202}, replies
    ids = {(await house.event(reply.json()["id"]))["id"] for reply in replies}
    assert len(ids) == 1
    await house.settled(ids.copy().pop(), "delivered")
    marker = wish()
    await house.rest.post(EVENTS, marker)
    await house.receiver.first(marker["id"], path=PATH)
    assert len(house.receiver.of(body["id"])) == 1
    assert len(await house.deliveries(ids.pop())) == 1


async def test_the_same_id_of_another_tenant_is_another_event(
    house: House, neighbour: House
) -> None:
    body = wish()

    mine, theirs = [await one.rest.post(EVENTS, body) for one in (house, neighbour)]

    assert (await house.event(mine["id"]))["id"] == mine["id"]
    assert (await neighbour.event(theirs["id"]))["id"] == theirs["id"]
    refused(await house.rest.call("GET", f"{EVENTS}/{theirs['id']}"), 404, "not-found")


async def test_a_batch_answers_for_each_by_itself(house: House) -> None:
    made = await register(house, "reject", name=new_name("own"))
    first, last = wish(), wish()

    async def tried() -> Any:
        bad = wish(event_type=made["name"], payload={"data": {}})
        told = await house.rest.call("POST", BATCH, {"events": [first, bad, last, first]})
        items = told.ok()["items"]
        return items if items[1]["status"] == 422 else None

    items = await until(tried, "a refusal of the second", within=10)

    assert [item["index"] for item in items] == [0, 1, 2, 3]
    assert [item["status"] for item in items] == [202, 422, 202, 202]
    assert items[1]["problem"]["type"].endswith("schema-violated")
    assert (await house.event(items[3]["id"]))["id"] == (await house.event(items[0]["id"]))["id"]
    for body in (first, last):
        await house.receiver.first(body["id"], path=PATH)
        assert len(house.receiver.of(body["id"])) == 1


async def test_a_batch_of_a_hundred_and_no_more(house: House) -> None:
    bodies = [wish() for _ in range(100)]

    items = (await house.rest.post(BATCH, {"events": bodies}))["items"]

    assert {item["status"] for item in items} == {202}
    for body in bodies:
        await house.receiver.first(body["id"], path=PATH)
    for number in (0, 101):
        many = {"events": [wish() for _ in range(number)]}
        refused(await house.rest.call("POST", BATCH, many), 422)


@pytest.mark.parametrize(
    "fields",
    [
        *({"id": ""}, {"id": "x" * 256}, {"id": "a\x00b"}, {"id": "a\nb"}, {"id": 7}, {"id": None}),
        *({"event_type": ""}, {"event_type": "a b"}, {"event_type": "a\r\nb"}),
        *({"event_type": "x" * 129}, {"event_type": "é"}, {"event_type": None}),
        *({"content_type": "a\r\nb"}, {"content_type": "x"}, {"payload_base64": "AAAA"}),
        *({"source_id": "src_00000000000000000000000000"}, {"source_id": "nonsense"}),
        *({"tenant_id": "ten_1"}, {"status": "accepted"}, {"received_at": "2020-01-01T00:00:00Z"}),
    ],
)
async def test_what_is_no_event_is_refused(house: House, fields: dict[str, Any]) -> None:
    refused(await publish(house, **fields), {400, 404, 422})


@pytest.mark.parametrize(
    "kind",
    ["own.*", "own.>", ">", "*", "own.a*b", ".", "..", ".own", "own..made", "own.", "$SYS.>"],
)
async def test_a_pattern_is_no_type(house: House, kind: str) -> None:
    reply = await publish(house, event_type=kind)

    if reply.status == 202:
        assert (await house.event(reply.json()["id"]))["event_type"] == kind
    else:
        refused(reply, 422)


async def test_another_tenants_source_is_not_there(house: House, neighbour: House) -> None:
    theirs = await neighbour.door("github")

    refused(await publish(house, source_id=theirs.source["id"]), {404, 422})

    events = await neighbour.rest.all(f"{EVENTS}?source_id={theirs.source['id']}")
    assert events == []


async def test_what_breaks_its_schema_is_treated_like_a_webhook(house: House) -> None:
    stopped = await register(house, "quarantine", name=new_name("own"))

    async def held() -> Any:
        reply = await publish(house, event_type=stopped["name"], payload={"data": 7})
        event = await house.event(reply.ok()["id"])
        return event if event["status"] == "quarantined" else None

    event = await until(held, "an event in quarantine", within=10)

    assert event["violations"]
    assert await house.deliveries(event["id"]) == []


async def test_the_own_source_is_managed_like_any_but_for_its_secrets(neighbour: House) -> None:
    await publish(neighbour)
    source = await own_source(neighbour)
    path = f"/v1/sources/{source['id']}"

    assert (await neighbour.rest.call("POST", f"{path}/rotate-secret", {})).status in {409, 422}
    wish_ = {"name": new_serial(), "scheme": "api", "secrets": []}
    assert (await neighbour.rest.call("POST", "/v1/sources", wish_)).status in {409, 422}
    await neighbour.rest.post(f"{path}/pause")

    async def is_refused() -> bool:
        return (await publish(neighbour)).status == 403

    await until(is_refused, "a refusal of a paused source", within=5)
    await neighbour.rest.post(f"{path}/resume")

    async def is_taken() -> bool:
        return (await publish(neighbour)).status == 202

    await until(is_taken, "an event that is taken again", within=5)


async def test_a_large_event_is_published_whole_or_not_at_all(house: House) -> None:
    serial = new_serial()
    body = {"serial": serial, "filler": "x" * 1_500_000}

    reply = await publish(house, id=serial, payload=body)
    over = await publish(house, payload="x" * 6_000_000)

    assert reply.status in {202, 413}, reply
    if reply.status == 202:
        arrival = await house.receiver.first(serial, path=PATH)
        assert msgspec.json.decode(arrival.body) == body
    refused(over, {413, 422})


async def test_reading_is_not_writing(house: House) -> None:
    key = {"name": new_serial(), "permissions": ["events:read"]}
    reader = house.stack.rest((await house.rest.post("/v1/api-keys", key))["key"])
    try:
        refused(await reader.call("POST", EVENTS, wish()), 403, "forbidden")
        refused(await reader.call("POST", BATCH, {"events": [wish()]}), 403, "forbidden")
    finally:
        await reader.__aexit__()
    refused(await house.anyone.call("POST", EVENTS, wish()), 401)


async def test_a_key_of_idempotency_gives_the_first_answer(house: House) -> None:
    headers = {"idempotency-key": new_serial()}
    body = wish()

    replies = [await house.rest.call("POST", EVENTS, body, headers=headers) for _ in range(2)]

    assert replies[0].json() == replies[1].json()
    assert replies[1].headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("payload", [None, 0, "", False, [], {}, "\ud7ff", [[[]]]])
async def test_any_json_is_a_payload(house: House, payload: Any) -> None:
    reply = await publish(house, payload=payload)

    assert reply.status == 202, reply
    raw = None

    async def stored() -> bool:
        nonlocal raw
        raw = await house.rest.call("GET", f"{EVENTS}/{reply.json()['id']}/payload")
        return raw.status == 200

    await until(stored, "a payload")
    assert raw is not None
    assert msgspec.json.decode(raw.body) == payload


async def test_digits_are_published_as_they_are(house: House) -> None:
    text = b'{ "a" : 1.10, "b":12345678901234567890123, "c" : "\\u00e9", "a": 2 }'
    body = b'{"id":"%s","event_type":"own.made","payload":%s}' % (new_serial().encode(), text)
    headers = {"content-type": "application/json"}

    reply = await house.rest.call("POST", EVENTS, raw=body, headers=headers)

    if reply.status != 202:
        refused(reply, {400, 422})  # what is there twice may be refused, and is not chosen from
        return
    await house.event(reply.json()["id"])
    raw = await house.rest.call("GET", f"{EVENTS}/{reply.json()['id']}/payload")
    assert raw.body == text


async def test_an_id_stays_used_when_its_source_is_deleted(neighbour: House) -> None:
    body = wish()
    first = await neighbour.rest.post(EVENTS, body)
    await neighbour.event(first["id"])
    source = await own_source(neighbour)

    gone = await neighbour.rest.call("DELETE", f"/v1/sources/{source['id']}")

    if gone.status != 204:
        refused(gone, {403, 409, 422})
        return
    again = await neighbour.rest.call("POST", EVENTS, body)
    if again.status == 202:
        assert (await neighbour.event(again.json()["id"]))["id"] == first["id"], "Once by its id."
    else:
        refused(again, {403, 404, 409})
