"""The live stream: what a listener hears, what it hears again, and what it never hears."""

from contextlib import AsyncExitStack
from typing import Any

import httpx
import msgspec
import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.answers import refused
from tests.acceptance.inbound.feed import Feed, open_feed
from tests.acceptance.inbound.listener import STREAM, Listener
from tests.acceptance.inbound.registry import new_name, register
from tests.faults.waiting import until


def listen(house: House, last: str | None = None, **query: str) -> Listener:
    return Listener(house.stack.url, house.key, query, last)


async def test_a_listener_hears_what_comes_in(house: House, feed: Feed) -> None:
    async with listen(house) as listener:
        assert listener.answer is not None
        assert listener.answer.headers["content-type"].startswith("text/event-stream")
        assert "no-store" in listener.answer.headers["cache-control"]
        sent = [await feed.send("live.news", number=number) for number in range(10)]
        for one in sent:
            await listener.hears(one.id)
        told = listener.told(sent[0].id)

    assert told["event_type"] == "live.news"
    assert told["source_id"] == feed.id
    assert "payload" not in told or told["payload"] is None
    ours = [event_id for event_id in listener.ids if event_id in {one.id for one in sent}]
    assert sorted(ours) == sorted(one.id for one in sent), "Each once."


async def test_what_is_told_is_what_the_list_tells(house: House, feed: Feed) -> None:
    async with listen(house, source_id=feed.id) as listener:
        sent = await feed.send("live.news")
        told = await listener.hears(sent.id)

    listed = (await house.rest.all(f"/v1/events?source_id={feed.id}"))[0]
    assert {name: told[name] for name in listed if name in told} == listed


async def test_filters_hold(house: House, feed: Feed) -> None:
    other = await open_feed(house)
    stem = new_name("live")
    async with (
        listen(house, source_id=feed.id) as by_source,
        listen(house, event_type=f"{stem}.*") as by_pattern,
        listen(house, event_type=f"{stem}.made", source_id=other.id) as by_both,
    ):
        made, gone = await feed.send(f"{stem}.made"), await feed.send(f"{stem}.gone")
        theirs, odd = await other.send(f"{stem}.made"), await other.send("odd")
        for one in (made, gone):
            await by_source.hears(one.id)
        for one in (made, gone, theirs):
            await by_pattern.hears(one.id)
        await by_both.hears(theirs.id)
        await feed.passed()
        await other.passed()

    assert set(by_both.ids) == {theirs.id}
    assert not {theirs.id, odd.id} & set(by_source.ids)
    assert set(by_pattern.ids) == {made.id, gone.id, theirs.id}


async def test_payloads_come_along_if_asked_for(house: House) -> None:
    door = await house.door("github")
    headers = {"content-type": "application/octet-stream"}
    bodies = [b"\x00\xff" + new_serial().encode(), b'{"a": 1}\n\ndata: x\r\n', b"y" * 700_000]
    async with listen(house, source_id=door.source["id"], include="payload") as listener:
        for body in bodies:
            event_id = await door.accepted(door.webhook(body=body, headers=headers))
            told = await listener.hears(event_id)
            shown = told.get("payload")
            if shown is None:
                shown = told.get("payload_base64")
            assert shown is not None or len(body) > 512 * 1024, told

    assert len(listener.ids) == len(bodies)


@pytest.mark.parametrize("way", ["header", "query"])
async def test_who_comes_back_hears_what_was_missed(house: House, feed: Feed, way: str) -> None:
    async with listen(house, source_id=feed.id) as listener:
        first = await feed.send("live.first")
        await listener.hears(first.id)
    missed = [await feed.send("live.missed", number=number) for number in range(30)]
    await feed.arrived(missed[-1])

    query = {"source_id": feed.id} | ({"after": first.id} if way == "query" else {})
    last = first.id if way == "header" else None
    async with Listener(house.stack.url, house.key, query, last) as again:
        late = await feed.send("live.late")
        await again.hears(late.id)

    heard = again.ids
    assert {one.id for one in missed} <= set(heard)
    assert heard[-1] == late.id
    in_order = list(dict.fromkeys(event_id for event_id in heard if event_id != first.id))
    assert sorted(in_order) == sorted([*(one.id for one in missed), late.id])


async def test_nothing_is_missed_between_two_short_visits(house: House, feed: Feed) -> None:
    heard: list[str] = []
    sent = [await feed.send("live.visit")]
    await feed.arrived(sent[0])
    last = sent[0].id
    for number in range(5):
        sent.append(await feed.send("live.visit", number=number))
        async with listen(house, last=last, source_id=feed.id) as listener:
            sent.append(await feed.send("live.visit", number=number))
            await listener.hears(sent[-1].id)
        heard += listener.ids
        last = listener.ids[-1]

    assert {one.id for one in sent[1:]} <= set(heard)


async def test_nobody_hears_another_tenant(house: House, neighbour: House, feed: Feed) -> None:
    theirs = await open_feed(neighbour)
    foreign = await theirs.send("live.theirs")
    await theirs.arrived(foreign)
    async with (
        listen(house, include="payload") as ours,
        listen(house, last=foreign.id) as resumed,
        listen(house, source_id=theirs.id) as nosy,
        listen(neighbour) as next_door,
    ):
        one = await theirs.send("live.theirs")
        mine = await feed.send("live.ours")
        await next_door.hears(one.id)
        await ours.hears(mine.id)
        if resumed.answer is not None and resumed.answer.status_code == 200:
            await resumed.hears(mine.id)
        await theirs.passed()

    for listener in (ours, resumed, nosy):
        for frame in listener.heard:
            assert theirs.id not in frame.data
        assert not {one.id, foreign.id} & set(listener.ids)
    assert mine.id not in next_door.ids


@pytest.mark.parametrize(
    ("query", "last"),
    [
        ({"source_id": "nonsense"}, None),
        ({"event_type": "a b"}, None),
        ({"event_type": "x" * 500}, None),
        ({"include": "everything"}, None),
        ({"colour": "red"}, None),
        ({"after": "nonsense"}, None),
        ({}, "evt_\u00e9"),
        ({}, "'; --"),
        ({}, "x" * 4_000),
    ],
)
async def test_what_can_not_be_listened_to_is_refused(
    house: House, query: dict[str, str], last: str | None
) -> None:
    headers = {} if last is None else {"last-event-id": last}
    url = f"{STREAM}?{httpx.QueryParams(query)}" if query else STREAM

    reply = await house.rest.call("GET", url, headers=headers)

    refused(reply, {400, 422})


async def test_only_who_may_read_events_listens(house: House) -> None:
    key = {"name": new_serial(), "permissions": ["sources:read"]}
    other = (await house.rest.post("/v1/api-keys", key))["key"]
    for credential, status in ((other, 403), ("cdk_live_nonsense", 401)):
        async with Listener(house.stack.url, credential) as listener:
            assert listener.answer is not None
            assert listener.answer.status_code == status
    refused(await house.anyone.call("GET", STREAM), 401)


async def test_an_endless_answer_has_no_tag_and_no_head(house: House) -> None:
    reply = await house.rest.call("HEAD", STREAM)

    assert reply.status in {200, 404, 405}, reply
    assert reply.body == b""


@pytest.mark.slow
async def test_who_may_not_any_more_hears_nothing_more(house: House, feed: Feed) -> None:
    wish = {"name": new_serial(), "permissions": ["events:read"]}
    made = await house.rest.post("/v1/api-keys", wish)
    async with Listener(house.stack.url, made["key"], {"source_id": feed.id}) as listener:
        sent = await feed.send("live.news")
        await listener.hears(sent.id)

        assert (await house.rest.call("DELETE", f"/v1/api-keys/{made['id']}")).status == 204

        await until(listener.ended.is_set, "an end of the stream", within=35)
        after = await feed.send("live.later")
        await feed.arrived(after)
        assert after.id not in listener.ids


async def test_what_is_in_quarantine_is_not_announced(house: House, feed: Feed) -> None:
    made = await register(house, "quarantine")
    await feed.judged(made["name"], "quarantined", total="x")
    async with listen(house, source_id=feed.id) as listener:
        held = await feed.send(made["name"], total="x")
        await feed.event(held.id, "quarantined")
        told = await feed.send("live.news")
        await listener.hears(told.id)
        assert held.id not in listener.ids
        await house.rest.post(f"/v1/events/{held.id}/release")
        assert (await listener.hears(held.id))["status"] == "released"


async def test_a_crowd_hears_the_same(house: House, feed: Feed) -> None:
    async with AsyncExitStack() as opened:
        crowd = [
            await opened.enter_async_context(listen(house, source_id=feed.id)) for _ in range(40)
        ]
        assert {one.answer.status_code for one in crowd if one.answer} == {200}
        sent = [await feed.send("live.news", number=number) for number in range(10)]
        for listener in crowd:
            for one in sent:
                await listener.hears(one.id)
            assert sorted(listener.ids) == sorted(one.id for one in sent)


async def test_an_api_source_is_heard_too(house: House) -> None:
    async with listen(house, event_type="own.*") as listener:
        body: Any = {"id": new_serial(), "event_type": "own.made", "payload": {"a": 1}}
        event_id = (await house.rest.post("/v1/events", body))["id"]
        told = await listener.hears(event_id)
    assert msgspec.json.encode(told)
    assert told["event_type"] == "own.made"
