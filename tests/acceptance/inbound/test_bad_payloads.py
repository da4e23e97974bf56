"""Payloads made to hurt, where schemas, indexed fields and streams look into them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import psutil
import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.answers import pointers, refused
from tests.acceptance.inbound.feed import Feed, open_feed
from tests.acceptance.inbound.listener import Listener
from tests.acceptance.inbound.registry import register
from tests.acceptance.wire import Wire

MEGABYTE: Final = 1024**2
GROWTH: Final = 128 * MEGABYTE
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "data": {
            "properties": {
                "total": {"type": "integer", "maximum": 2**53},
                "code": {"type": "string", "pattern": "^(a+)+$", "maxLength": 1_000_000},
                "list": {"type": "array", "uniqueItems": True},
            }
        }
    },
}


@pytest.fixture(scope="module")
async def name(house: House) -> str:
    """A type whose schema refuses."""
    told: str = (await register(house, "reject", schema=SCHEMA))["name"]
    feed = await open_feed(house)
    await feed.rejected(told, total="not yet")
    return told


@pytest.fixture(scope="module")
async def judge(house: House, name: str) -> Feed:
    """A source whose events are judged and indexed."""
    return await open_feed(house, indexed_fields=["/data/total", "/data/code", "/id"])


@pytest.fixture(autouse=True)
async def unharmed(house: House, judge: Feed) -> AsyncIterator[None]:
    """Whatever is sent: honest events get through, and a gateway neither dies nor swells."""
    processes = house.stack.gateway_processes()
    before = house.stack.memory()
    yield
    await judge.passed()
    assert house.stack.gateway_processes() == processes
    assert all(process.status() != psutil.STATUS_ZOMBIE for process in processes)
    assert house.stack.memory() - before < GROWTH


def event(name: str, serial: str, data: bytes) -> bytes:
    """Return an event of a type with this as its data."""
    content = (serial.encode(), name.encode(), serial.encode(), data)
    return b'{"id":"evt_%s","type":"%s","serial":"%s","data":%s}' % content


async def sent(judge: Feed, name: str, data: bytes) -> Any:
    serial = new_serial()
    async with asyncio.timeout(5):
        return await judge.send_raw(event(name, serial, data), serial=serial)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"total":',
        b'{"total":01}',
        b'{"total":NaN}',
        b'{"total":Infinity}',
        b'{"code":"\xff\xfe"}',
        b'{"code":"\xed\xa0\x80"}',
    ],
)
async def test_what_is_no_json_is_malformed(judge: Feed, name: str, data: bytes) -> None:
    reply = (await sent(judge, name, data)).reply

    refused(reply, {400, 422})


@pytest.mark.parametrize("number", ["9007199254740993", "1e400", "-1e400", "9" * 400, "1.5"])
async def test_numbers_beyond_64_bits_are_judged_as_they_are(
    judge: Feed, name: str, number: str
) -> None:
    reply = (await sent(judge, name, b'{"total":%s}' % number.encode())).reply

    refused(reply, {400, 422}) if number != "-1e400" else None
    assert reply.status in {202, 400, 422}, reply


@pytest.mark.parametrize("number", ["9223372036854775808", "-99999999999999999999999", "1e2"])
async def test_a_large_number_is_delivered_digit_by_digit(house: House, number: str) -> None:
    feed = await open_feed(house, indexed_fields=["/data/number"])
    one = await sent(feed, "big.number", b'{"number":%s}' % number.encode())

    assert (await feed.arrived(one)).body == one.body
    event = await house.event(one.id)
    assert event["payload"].encode() == one.body
    found = await house.rest.all(f"/v1/events?payload=/data/number%3D{number}")
    assert [item["id"] for item in found] == [one.id]


@pytest.mark.parametrize(
    "data",
    [
        b'{"total":1,"total":"no number"}',
        b'{"total":"no number","total":1}',
    ],
)
async def test_a_key_that_is_there_twice_can_not_hide_anything(
    house: House, judge: Feed, name: str, data: bytes
) -> None:
    one = await sent(judge, name, data)

    if one.reply.status == 202:
        # Taken only if whoever reads it takes the valid one: the last, as all parsers do.
        assert msgspec.json.decode(one.body)["data"]["total"] == 1
        assert (await judge.arrived(one)).body == one.body
    else:
        refused(one.reply, {400, 422})


@pytest.mark.parametrize("data", [b'{"code":"\\ud800"}', b'{"\\udfff":1}', b'{"list":["\\ud83d"]}'])
async def test_a_lone_surrogate_is_a_clean_answer(
    house: House, judge: Feed, name: str, data: bytes
) -> None:
    one = await sent(judge, name, data)

    if one.reply.status == 202:
        assert (await judge.arrived(one)).body == one.body
        assert (await house.event(one.id))["payload"].encode() == one.body
    else:
        refused(one.reply, {400, 422})


async def test_a_regex_runs_in_linear_time(judge: Feed, name: str) -> None:
    data = b'{"code":"' + b"a" * 200_000 + b'!"}'

    refused((await sent(judge, name, data)).reply, 422, "schema-violated")


async def test_wide_json_is_judged_in_time(judge: Feed, name: str) -> None:
    wide = b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(30_000)) + b"}"
    unique = b'{"list":[' + b",".join(b"[%d]" % n for n in range(40_000)) + b"]}"

    assert (await sent(judge, name, wide)).reply.status == 202
    assert (await sent(judge, name, unique)).reply.status in {202, 413, 422}


async def test_a_broken_wide_list_says_five_things(judge: Feed, name: str) -> None:
    data = b'{"list":[' + b",".join(b"1" for _ in range(50_000)) + b"]}"

    told = refused((await sent(judge, name, data)).reply, 422, "schema-violated")

    assert pointers(told) == {"/data/list"}
    assert len(msgspec.json.encode(told)) < 4_000


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "events.*.>",
            "a b\tc",
            "x\r\nNats-Msg-Id: 1",
            "x\n\ndata: {}\n\n",
            ">",
            "*",
            ".",
            "..",
            "",
        ),
        *("a.b.", "é\u2028", "$SYS.>", "x" * 100_000, "\x00", "../../etc"),
    ],
)
async def test_a_type_is_no_subject_no_header_and_no_frame(
    house: House, neighbour: House, judge: Feed, kind: str
) -> None:
    serial = new_serial()
    body = msgspec.json.encode({"id": f"evt_{serial}", "type": kind, "serial": serial})
    async with (
        Listener(house.stack.url, house.key) as ours,
        Listener(house.stack.url, neighbour.key) as theirs,
    ):
        one = await judge.send_raw(body, serial=serial)
        if one.reply.status != 202:
            refused(one.reply, {400, 422})
            return
        assert (await judge.arrived(one)).body == body
        told = await ours.hears(one.id)
        assert {frame.event for frame in ours.heard} == {"event"}
        assert theirs.heard == []
    kept = told["event_type"]
    assert kept.isascii()
    assert kept.isprintable()
    assert len(kept) <= 128
    assert not set("\r\n *>") & set(kept) or kept == kind


async def test_a_providers_id_of_100_kib_is_a_clean_answer(house: House, judge: Feed) -> None:
    serial = new_serial()
    long = serial + "x" * 100 * 1024
    bodies = [
        msgspec.json.encode({"id": long + end, "type": "long.id", "serial": serial})
        for end in ("1", "2", "1")
    ]

    replies = [(await judge.send_raw(body, serial=serial)).reply for body in bodies]

    for reply in replies:
        if reply.status != 202:
            refused(reply, {400, 422})
    if {reply.status for reply in replies} == {202}:
        first, second, again = [(await house.event(reply.json()["id"]))["id"] for reply in replies]
        assert first != second, "What differs beyond any cut is another event."
        assert again == first
        event = await house.event(first)
        assert len(event["provider_id"] or "") <= 1024


@pytest.mark.parametrize("value", ["a\r\nx: y", "x\ndata: forged", "\u2028", "text/plain;\x01"])
async def test_a_content_type_is_no_header_and_no_frame(
    house: House, judge: Feed, value: str
) -> None:
    webhook = judge.door.webhook(body=event("odd", new_serial(), b"{}"))
    headers = [(k, v) for k, v in webhook.headers.items() if k != "content-type"]
    async with Listener(house.stack.url, house.key) as ours, Wire(judge.door.url) as wire:
        lines = wire.head([*headers, ("content-length", str(len(webhook.body)))])
        line = f"content-type: {value}\r\n".encode()
        await wire.send(lines[:-2] + line + b"\r\n" + webhook.body)
        answer = await wire.hear(5)
        await judge.passed()
        assert answer.status in {0, 202, 400, 415, 422}, answer
        assert {frame.event for frame in ours.heard} <= {"event"}
        assert all(frame.id in {"", one} for frame, one in zip(ours.heard, ours.ids, strict=True))


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 100_000,
        b'"\\ud800"',
        b'{"a":1,"a":2}',
        b"1e999999",
        b"-" + b"9" * 100_000,
        b"NaN",
        b'"\xff"',
        b"",
    ],
)
async def test_the_same_over_rest_is_a_clean_answer(house: House, payload: bytes) -> None:
    made = await register(house, "warn", schema=SCHEMA)
    headers = {"content-type": "application/json"}
    publish = b'{"id":"%s","event_type":"x.y","payload":%s}' % (new_serial().encode(), payload)
    batch = b'{"events":[%s]}' % publish
    asked = [
        ("/v1/events", publish),
        ("/v1/events/batch", batch),
        (f"/v1/event-types/{made['id']}/validate", b'{"payload":%s}' % payload),
        (f"/v1/event-types/{made['id']}/check", b'{"schema":%s}' % payload),
        ("/v1/sources/check", b'{"scheme":"none","example":{"headers":{"a":%s}}}' % payload),
    ]
    for path, body in asked:
        async with asyncio.timeout(10):
            reply = await house.rest.call("POST", path, raw=body, headers=headers)
        if reply.status >= 300:
            refused(reply, {400, 413, 422})
