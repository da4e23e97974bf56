"""Live events over real sockets: from publishing to whoever listens."""

import asyncio
import base64
from contextlib import AsyncExitStack
from typing import Any

import httpx
import msgspec
import pytest

from crossdock import ids
from crossdock.access.service import ApiKeys
from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedNats
from crossdock.tenancy.service import Tenants
from tests.beds.listening import PATH, listening
from tests.beds.served import served
from tests.faults.waiting import until


async def test_an_event_is_heard_as_lists_show_it(caller: Any) -> None:
    async with listening(caller.http) as ear:
        event_id = await caller.publish("mine", payload={"total": 12})
        await ear.hears(event_id)
    await caller.stored(event_id)
    listed = (await caller.http.get("/v1/events")).json()["items"]
    assert ear.events == [one for one in listed if one["id"] == event_id]
    assert [one.id for one in ear.heard if one.data] == [event_id]


async def test_the_answer_is_a_stream_that_nobody_keeps(caller: Any) -> None:
    async with listening(caller.http) as ear:
        headers = ear.response.headers
        assert headers["content-type"].startswith("text/event-stream")
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        assert headers["x-content-type-options"] == "nosniff"
        assert "ratelimit" in headers
        assert "content-encoding" not in headers
        assert "content-length" not in headers


async def test_head_tells_the_headers_and_ends(caller: Any) -> None:
    answer = await caller.http.head(PATH)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.content == b""


async def test_filters_hold(caller: Any) -> None:
    other = (await caller.http.post("/v1/sources", json={"name": "s", "scheme": "none"})).json()
    token = other["ingest_url"].rpartition("/")[2]
    async with (
        listening(caller.http, event_type="order.*") as orders,
        listening(caller.http, source_id=other["id"]) as others,
        listening(caller.http) as everything,
    ):
        paid = await caller.publish(event_type="order.paid")
        user = await caller.publish(event_type="user.made")
        answer = await caller.http.post(f"/in/{token}", json={"a": 1})
        assert answer.status_code == 202, answer.text
        foreign = answer.json()["id"]
        await everything.hears(paid, user, foreign)
        await orders.hears(paid)
        await others.hears(foreign)
    assert orders.ids == [paid]
    assert others.ids == [foreign]


@pytest.mark.parametrize("size", [10, 200_000], ids=["small", "large"])
@pytest.mark.parametrize("letter", [b"x", b"\xff"], ids=["text", "bytes"])
async def test_payloads_come_on_demand(caller: Any, size: int, letter: bytes) -> None:
    body = letter * size
    async with listening(caller.http, include="payload") as ear, listening(caller.http) as other:
        event_id = await caller.publish(
            payload=None,
            payload_base64=base64.b64encode(body).decode(),
            content_type="text/plain",
        )
        await ear.hears(event_id)
        await other.hears(event_id)
    (found,) = ear.events
    text, encoded = found["payload"], found["payload_base64"]
    assert (text.encode() if encoded is None else base64.b64decode(encoded)) == body
    assert found["size"] == size
    assert "payload" not in other.events[0]


async def test_sealed_payloads_are_opened_for_listeners(caller: Any) -> None:
    await caller.publish()
    (source,) = (await caller.http.get("/v1/sources")).json()["items"]
    patch = {"content-type": "application/merge-patch+json"}
    path = f"/v1/sources/{source['id']}"
    answer = await caller.http.patch(path, json={"encrypts": True}, headers=patch)
    assert answer.status_code == 200, answer.text
    async with listening(caller.http, include="payload") as ear:
        event_id = await caller.publish(payload={"secret": "plum"})
        await ear.hears(event_id)
    assert ear.events[-1]["encrypted"]
    assert msgspec.json.decode(ear.events[-1]["payload"]) == {"secret": "plum"}
    stored = await caller.stored(event_id)
    assert stored["encrypted"]
    assert stored["payload"] == '{"secret":"plum"}'
    assert stored["size"] == len(stored["payload"]) == ear.events[-1]["size"]
    payload = await caller.http.get(f"/v1/events/{event_id}/payload")
    assert payload.content == b'{"secret":"plum"}'


async def test_nobody_hears_another_tenants_events(caller: Any, new_caller: Any) -> None:
    stranger = await new_caller()
    own = [await stranger.publish(event_type=name) for name in (">", "*", "a.>", "order.paid")]
    async with (
        listening(caller.http, event_type="*") as first,
        listening(caller.http, event_type=">") as second,
        listening(caller.http, after=own[0]) as third,
    ):
        told = [await stranger.publish(event_type=name) for name in ("*", ">", "x")]
        for event_id in told:
            await stranger.stored(event_id)
        mine = [await caller.publish(event_type=name) for name in (">", "x.>")]
        await first.hears(*mine)
        await second.hears(mine[0])
        await third.hears(*mine)
    assert first.ids == third.ids == mine
    assert second.ids == mine[:1]


async def test_what_was_missed_comes_first(caller: Any) -> None:
    seen = await caller.publish()
    missed = [await caller.publish() for _ in range(5)]
    for event_id in missed:
        await caller.stored(event_id)
    async with listening(caller.http, last=seen) as ear:
        live = await caller.publish()
        await ear.hears(*missed, live)
    assert [one for one in ear.ids if one in missed] == missed


async def test_the_header_wins_over_the_parameter(caller: Any) -> None:
    first = await caller.publish()
    await caller.stored(first)
    ancient = "evt_00000000000000000000000000"
    far = "evt_7zzzzzzzzzzzzzzzzzzzzzzzzz"
    async with listening(caller.http, last=ancient, after=far) as ear:
        await ear.hears(first)


@pytest.mark.parametrize(
    ("query", "headers", "pointer"),
    [
        ({"after": "evt_1"}, {}, "?after"),
        ({}, {"Last-Event-ID": "x"}, "Last-Event-ID:"),
        ({"source_id": "evt_00000000000000000000000000"}, {}, "?source_id"),
        ({"event_type": "a b"}, {}, "?event_type"),
        ({"include": "body"}, {}, "?include"),
        ({"tenant_id": "x"}, {}, "?tenant_id"),
    ],
)
async def test_what_means_nothing_is_refused(
    caller: Any, query: dict[str, str], headers: dict[str, str], pointer: str
) -> None:
    answer = await caller.http.get(PATH, params=query, headers=headers)
    assert answer.status_code == 422, answer.text
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


async def test_who_may_not_read_events_hears_none(new_caller: Any, gateway: str) -> None:
    caller = await new_caller("sources:read")
    assert (await caller.http.get(PATH)).status_code == 403
    async with httpx.AsyncClient(base_url=gateway, trust_env=False) as stranger:
        assert (await stranger.get(PATH)).status_code == 401


async def test_one_tenant_has_so_many_streams_and_no_more(caller: Any, new_caller: Any) -> None:
    async with listening(caller.http), listening(caller.http), listening(caller.http):
        refused = await caller.http.get(PATH)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        async with listening((await new_caller()).http):
            pass


async def test_whoever_leaves_makes_room(caller: Any) -> None:
    for _ in range(10):

        async def has_room() -> bool:
            async with listening(caller.http), listening(caller.http), listening(caller.http):
                return True

        await until(has_room, "room for three listeners")


async def test_a_stopped_and_started_broker_leaves_no_gap(
    caller: Any, own_nats: EmbeddedNats, own_settings: Settings
) -> None:
    del own_settings
    async with listening(caller.http) as ear:
        before = await caller.publish()
        await ear.hears(before)
        own_nats.stop()
        own_nats.start()
        told = []
        for _ in range(200):
            answer = await caller.http.post(
                "/v1/events", json={"id": ids.new().hex, "event_type": "a", "payload": 1}
            )
            if answer.status_code == 202:
                told.append(answer.json()["id"])
            if len(told) >= 20:
                break
            await asyncio.sleep(0.05)
        assert told
        await ear.hears(*told)
    assert "gap" in ear.kinds


async def test_a_revoked_key_ends_its_stream(
    caller: Any, own_databases: Databases, own_settings: Settings
) -> None:
    async with listening(caller.http) as ear:
        keys = ApiKeys(own_databases, environment=own_settings.environment)
        await keys.revoke(caller.tenant_id, caller.key_id)
        await ear.ends()
    assert ear.kinds == ["end"]
    assert msgspec.json.decode(ear.heard[-1].data) == {"reason": "refused"}


async def test_a_suspended_tenants_stream_ends(caller: Any, own_databases: Databases) -> None:
    async with listening(caller.http) as ear:
        await Tenants(own_databases).suspend(ids.encode("ten", caller.tenant_id), reason="unpaid")
        await ear.ends()
    assert (await caller.http.get(PATH)).status_code == 403


async def test_a_gateway_that_ends_is_not_held_up(
    new_caller: Any, own_settings: Settings, worker: Any
) -> None:
    del worker
    async with AsyncExitStack() as stack:
        async with served(own_settings) as url:
            caller = await new_caller(url=url)
            ear = await stack.enter_async_context(listening(caller.http))
            event_id = await caller.publish()
            await ear.hears(event_id)
        # Its process has ended by itself, else there were no last words.
        await ear.ends()
        assert ear.kinds == ["end"]
        assert msgspec.json.decode(ear.heard[-1].data) == {"reason": "drained"}
