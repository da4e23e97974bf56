"""Events that a tenant publishes itself, over real sockets: stored, delivered, once."""

import asyncio
import base64
from typing import Any

import pytest

from crossdock import ids
from tests.beds.delivery import Receiver
from tests.faults.waiting import until

PATH = "/v1/events"
MERGE = {"content-type": "application/merge-patch+json"}
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}}


@pytest.fixture
async def receiver() -> Any:
    """A server that takes deliveries."""
    found = Receiver()
    await found.start()
    yield found
    await found.stop()


async def own_source(caller: Any) -> dict[str, Any]:
    """Return the tenant's own source, which publishing has made."""
    items = (await caller.http.get("/v1/sources")).json()["items"]
    (found,) = [one for one in items if one["scheme"] == "api"]
    return dict(found)


async def change(caller: Any, **fields: Any) -> None:
    """Change the tenant's own source."""
    path = f"/v1/sources/{(await own_source(caller))['id']}"
    answer = await caller.http.patch(path, json=fields, headers=MERGE)
    assert answer.status_code == 200, answer.text


async def listed(caller: Any, **query: str) -> list[dict[str, Any]]:
    answer = await caller.http.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_the_exact_bytes_are_stored(caller: Any) -> None:
    payload = '{"b": 1.0,  "a":[1e400,"ü\\u00fc"], "n":123456789012345678901234567890}'
    body = f'{{"id":"x","event_type":"a.b","payload":{payload}}}'
    answer = await caller.http.post(
        PATH, content=body.encode(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 202, answer.text
    event = await caller.stored(answer.json()["id"])
    assert event["payload"] == payload
    assert event["provider_id"] == "x"
    assert event["event_type"] == "a.b"
    assert event["content_type"] == "application/json"
    assert event["source_id"] == (await own_source(caller))["id"]


async def test_any_bytes_can_be_published(caller: Any) -> None:
    body = bytes(range(256))
    event_id = await caller.publish(
        payload=None, payload_base64=base64.b64encode(body).decode(), content_type="image/x"
    )
    assert (await caller.stored(event_id))["content_type"] == "image/x"
    assert (await caller.http.get(f"{PATH}/{event_id}/payload")).content == body


async def test_the_same_id_is_the_same_event(caller: Any) -> None:
    first = await caller.publish("same", payload={"n": 1})
    await caller.stored(first)
    copies = [await caller.publish("same", payload={"n": n}) for n in range(5)]
    for copy in copies:
        assert (await caller.stored(copy))["id"] == first
    assert [one["id"] for one in await listed(caller)] == [first]


async def test_many_at_once_under_one_id_are_one_event(caller: Any, receiver: Receiver) -> None:
    url = receiver.url("/hook")
    made = await caller.http.post("/v1/destinations", json={"name": "d", "url": url})
    assert made.status_code == 201, made.text
    answers = await asyncio.gather(*(caller.publish("one") for _ in range(20)))
    originals = {(await caller.stored(one))["id"] for one in answers}
    assert len(originals) == 1
    await until(lambda: receiver.seen("/hook"), "a delivery")
    last = await caller.publish("two")
    await until(lambda: receiver.by_id[last], "the other delivery")
    assert len(receiver.seen("/hook")) == 2


async def test_another_tenants_same_id_is_another_event(caller: Any, new_caller: Any) -> None:
    other = await new_caller()
    first, second = await caller.publish("same"), await other.publish("same")
    assert (await caller.stored(first))["id"] == first
    assert (await other.stored(second))["id"] == second


async def test_an_event_is_delivered_signed(caller: Any, receiver: Receiver) -> None:
    url = receiver.url("/hook")
    await caller.http.post("/v1/destinations", json={"name": "d", "url": url})
    event_id = await caller.publish(payload={"a": 1})
    await until(lambda: receiver.by_id[event_id], "a delivery")
    (call,) = receiver.by_id[event_id]
    assert call.body == b'{"a":1}'
    assert "webhook-signature" in call.headers


async def test_a_batch_is_answered_item_by_item(caller: Any) -> None:
    wanted = [
        {"id": "a", "event_type": "t", "payload": 1},
        {"id": "b", "event_type": "t"},
        {"id": "c", "event_type": "t", "payload": 1, "payload_base64": "AA=="},
        {"id": "d", "event_type": "t", "payload_base64": "!"},
        {"id": "e", "event_type": "t", "payload": 1, "source_id": ids.encode("src", ids.new())},
        {"id": "a", "event_type": "t", "payload": 2},
        {"id": "f", "event_type": "t", "payload": "x" * 10},
    ]
    answer = await caller.http.post(f"{PATH}/batch", json={"events": wanted})
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [item["index"] for item in items] == list(range(7))
    assert [item["status"] for item in items] == [202, 422, 422, 422, 422, 202, 202]
    assert items[1]["problem"]["errors"][0]["pointer"] == "/events/1/payload"
    assert items[3]["problem"]["errors"][0]["pointer"] == "/events/3/payload_base64"
    assert items[4]["problem"]["errors"][0]["pointer"] == "/events/4/source_id"
    first, again, last = (items[n]["id"] for n in (0, 5, 6))
    assert (await caller.stored(first))["payload"] == "1"
    assert (await caller.stored(again))["id"] == first
    await caller.stored(last)
    assert len(await listed(caller)) == 2


async def test_an_idempotency_key_gives_the_same_answer(caller: Any) -> None:
    body = {"id": "k", "event_type": "t", "payload": 1}
    headers = {"Idempotency-Key": ids.new().hex}
    first = await caller.http.post(PATH, json=body, headers=headers)
    again = await caller.http.post(PATH, json=body, headers=headers)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"id": ""}, "/id"),
        ({"id": "a b"}, "/id"),
        ({"id": "x" * 256}, "/id"),
        ({"id": "ü"}, "/id"),
        ({"event_type": ""}, "/event_type"),
        ({"event_type": "a\nb"}, "/event_type"),
        ({"event_type": "x" * 129}, "/event_type"),
        ({"content_type": "text/plain"}, "/content_type"),
        ({"source_id": "src_1"}, "/source_id"),
        ({"tenant_id": "x"}, "/tenant_id"),
        ({"status": "accepted"}, "/status"),
    ],
)
async def test_what_is_no_event_is_refused(caller: Any, fields: Any, pointer: str) -> None:
    body = {"id": "x", "event_type": "t", "payload": {}} | fields
    answer = await caller.http.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("name", ["*", ">", "a.>", "a.*.b", "..", "$SYS.x", "%00"])
async def test_an_event_type_reaches_no_other_subject(caller: Any, name: str) -> None:
    event = await caller.stored(await caller.publish(event_type=name))
    assert event["event_type"] == name


async def test_a_large_payload_goes_apart(caller: Any) -> None:
    payload = "x" * 700_000
    event = await caller.stored(await caller.publish(payload=payload))
    assert event["size"] == len(payload) + 2
    assert event["payload"] == f'"{payload}"'


async def test_what_is_too_large_is_refused(caller: Any) -> None:
    await caller.publish()
    await change(caller, max_body_bytes=1000)
    body = {"id": "x", "event_type": "t", "payload": "x" * 1000}
    assert (await caller.http.post(PATH, json=body)).status_code == 413
    body["payload"] = "x" * 9_000_000
    assert (await caller.http.post(PATH, json=body)).status_code == 413


async def test_its_source_may_index_and_pause(caller: Any) -> None:
    await caller.publish()
    await change(caller, indexed_fields=["/customer"])
    event_id = await caller.publish(payload={"customer": "cus_1"})
    await caller.stored(event_id)
    assert [one["id"] for one in await listed(caller, payload="/customer=cus_1")] == [event_id]

    path = f"/v1/sources/{(await own_source(caller))['id']}"
    await caller.http.post(f"{path}/pause")
    body = {"id": "p", "event_type": "t", "payload": 1}
    refused = await caller.http.post(PATH, json=body)
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/source-paused")
    await caller.http.post(f"{path}/resume")
    await caller.http.post(f"{path}/pause", json={"mode": "buffer"})
    held = await caller.publish("held")
    assert (await caller.stored(held))["status"] == "held"


@pytest.mark.parametrize("mode", ["warn", "quarantine", "reject"])
async def test_schemas_hold(caller: Any, mode: str) -> None:
    wish = {"name": "order.paid", "mode": mode, "schema": SCHEMA}
    made = await caller.http.post("/v1/event-types", json=wish)
    assert made.status_code == 201, made.text

    async def judged() -> dict[str, Any] | None:
        wrong = {"id": ids.new().hex, "event_type": "order.paid", "payload": {"total": "12"}}
        answer = await caller.http.post(PATH, json=wrong)
        if answer.status_code == 202:
            event = await caller.stored(answer.json()["id"])
            return event if event["violations"] else None
        return dict(answer.json())

    found = await until(judged, "the schema to hold")
    if mode == "reject":
        assert (found["status"], found["type"]) == (422, "/problems/schema-violated")
        assert [one["pointer"] for one in found["errors"]] == ["/payload/total"]
    else:
        assert found["status"] == {"warn": "warned", "quarantine": "quarantined"}[mode]
        assert [one["pointer"] for one in found["violations"]] == ["/total"]
    right = await caller.stored(await caller.publish(payload={"total": 12}))
    assert (right["status"], right["schema_version"]) == ("accepted", 1)


async def test_limits_of_webhooks_hold(caller: Any) -> None:
    await caller.publish()
    await change(caller, webhooks_per_minute=3)
    events = [{"id": f"{n}", "event_type": "t", "payload": n} for n in range(6)]
    answer = await caller.http.post(f"{PATH}/batch", json={"events": events})
    statuses = [item["status"] for item in answer.json()["items"]]
    assert statuses == [202] * 3 + [429] * 3
    alone = await caller.http.post(PATH, json=events[5])
    assert alone.status_code == 429
    assert int(alone.headers["retry-after"]) >= 1


async def test_only_who_may_write_events_publishes(new_caller: Any) -> None:
    caller = await new_caller("events:read")
    body = {"id": "x", "event_type": "t", "payload": 1}
    assert (await caller.http.post(PATH, json=body)).status_code == 403
    assert (await caller.http.post(f"{PATH}/batch", json={"events": [body]})).status_code == 403


async def test_nothing_is_taken_without_the_brokers_word(caller: Any, own_nats: Any) -> None:
    first = await caller.publish()
    await caller.stored(first)
    headers = {"Idempotency-Key": ids.new().hex}
    own_nats.stop()
    try:
        body = {"id": "away", "event_type": "t", "payload": 1}
        answer = await caller.http.post(PATH, json=body, headers=headers)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
    finally:
        own_nats.start()

    async def taken() -> str | None:
        answer = await caller.http.post(PATH, json=body, headers=headers)
        assert answer.status_code in {202, 503}, answer.text
        return answer.json()["id"] if answer.status_code == 202 else None

    event_id = await until(taken, "the broker to be back")
    assert (await caller.stored(event_id))["payload"] == "1"


async def test_no_type_of_ours_can_be_published(caller: Any) -> None:
    for one in ("crossdock.alert.raised", "crossdock."):
        body = {"id": "x", "event_type": one, "payload": 1}
        answer = await caller.http.post(PATH, json=body)
        assert answer.status_code == 422, answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/event_type"]
    mixed = [{"id": one, "event_type": one, "payload": 1} for one in ("crossdock.x", "crossdockx")]
    answer = await caller.http.post(f"{PATH}/batch", json={"events": mixed})
    assert [one["status"] for one in answer.json()["items"]] == [422, 202]
