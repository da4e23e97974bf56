"""Senders who mean harm, or know no better: a clean refusal, no crash, and memory stays bounded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from time import monotonic

import msgspec
import psutil
import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import Door, House
from tests.acceptance.wire import Heard, Wire

MEGABYTE = 1024**2
GROWTH = 64 * MEGABYTE
BODY_DEADLINE_S = 2.0
"""As the stack under test is set."""
GRACE_S = 4.0
CROWD = 200
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
async def door(house: House) -> Door:
    opened = await house.door("github")
    await house.destination("/honest", source_ids=[opened.source["id"]])
    return opened


@pytest.fixture(autouse=True)
async def unharmed(house: House, door: Door) -> AsyncIterator[None]:
    """Whatever a test sends: honest webhooks get through, and a gateway neither dies nor swells."""
    await door.accepted()
    processes = house.stack.gateway_processes()
    before = house.stack.memory()
    yield
    honest = [door.webhook() for _ in range(10)]
    for webhook in honest:
        await door.accepted(webhook)
    for webhook in honest:
        await house.receiver.first(webhook.serial, path="/honest")
    assert house.stack.gateway_processes() == processes
    assert all(process.status() != psutil.STATUS_ZOMBIE for process in processes)
    assert house.stack.memory() - before < GROWTH


async def heard(door: Door, *parts: bytes, within: float = 15.0) -> Heard:
    """Send parts of a request by hand and return what is answered."""
    async with Wire(door.url) as wire:

        async def talk() -> None:
            for part in parts:
                await wire.send(part)

        talking = asyncio.create_task(talk())
        try:
            return await wire.hear(within)
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)


def head(door: Door, *headers: tuple[str, str]) -> bytes:
    return Wire(door.url).head(headers)


@pytest.mark.parametrize("number", [200, 2_000, 50_000])
async def test_a_flood_of_headers(door: Door, number: int) -> None:
    flood = [(f"x-flood-{index}", "y" * 20) for index in range(number)]

    answer = await heard(door, head(door, *flood, ("content-length", "2")), b"{}")

    assert answer.is_refusal, answer


async def test_one_endless_header(door: Door) -> None:
    answer = await heard(
        door, head(door)[:-2] + b"x-endless: ", *(b"y" * MEGABYTE for _ in range(32))
    )

    assert answer.is_refusal, answer


async def test_an_endless_target(door: Door) -> None:
    answer = await heard(door, b"POST /in/" + b"a" * (4 * MEGABYTE) + b" HTTP/1.1\r\n\r\n")

    assert answer.is_refusal, answer


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00" * 4096,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET\r\n\r\n",
        b"POST /in/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"\xff" * 70_000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 400,
    ],
)
async def test_noise(door: Door, noise: bytes) -> None:
    async with Wire(door.url) as wire:
        await wire.send(noise)
        answer = await wire.hear(GRACE_S)
    assert answer.status < 500
    assert not 200 <= answer.status < 300


@pytest.mark.parametrize(
    "lengths",
    [
        [("content-length", "-1")],
        [("content-length", "2"), ("content-length", "3")],
        [("content-length", "99999999999999999999999")],
        [("content-length", "two")],
        [("content-length", "2"), ("transfer-encoding", "chunked")],
        [("transfer-encoding", "gzip, chunked, gzip")],
    ],
)
async def test_contradictory_lengths(door: Door, lengths: list[tuple[str, str]]) -> None:
    answer = await heard(door, head(door, *lengths), b"{}\r\n\r\n", within=GRACE_S + 1)

    assert answer.is_refusal, answer


@pytest.mark.parametrize("value", [b"a\x00b", b"a\x7fb", b"a\nb", b"\xff\xfe"])
async def test_control_characters_in_a_signature(door: Door, value: bytes) -> None:
    request = (
        head(door, ("content-length", "2"))[:-2] + b"x-hub-signature-256: " + value + b"\r\n\r\n"
    )

    answer = await heard(door, request, b"{}", within=GRACE_S)

    assert answer.is_refusal, answer


async def test_a_large_body_is_refused_before_it_is_sent(door: Door) -> None:
    async with Wire(door.url) as wire:
        await wire.send(wire.head([("content-length", str(1024**4))]))
        answer = await wire.hear(GRACE_S)

    assert answer.status == 413
    assert b"application/problem+json" in answer.text.lower()


async def test_a_large_body_in_chunks_is_refused(door: Door) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    answer = await heard(
        door, head(door, ("transfer-encoding", "chunked")), *(chunk for _ in range(512))
    )

    assert answer.status in {413, 0}, answer


async def test_a_small_body_in_chunks_is_a_webhook(door: Door) -> None:
    webhook = door.webhook()
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(part), part)
        for part in (webhook.body[:7], webhook.body[7:8], webhook.body[8:])
    )

    answer = await heard(
        door,
        head(door, *webhook.headers.items(), ("transfer-encoding", "chunked")),
        chunks + b"0\r\n\r\n",
        within=GRACE_S,
    )

    assert answer.status == 202, answer


async def test_a_body_that_stalls_is_given_up(door: Door) -> None:
    webhook = door.webhook()

    answer = await heard(
        door,
        head(door, *webhook.headers.items(), ("content-length", str(len(webhook.body)))),
        webhook.body[:10],
        within=BODY_DEADLINE_S + GRACE_S,
    )

    assert answer.status in {408, 0}, answer
    assert BODY_DEADLINE_S / 2 < answer.after_s < BODY_DEADLINE_S + GRACE_S - 0.5


async def test_a_body_that_drips_is_given_up(door: Door) -> None:
    webhook = door.webhook()
    async with Wire(door.url) as wire:
        await wire.send(wire.head([*webhook.headers.items(), ("content-length", "100")]))

        async def drip() -> None:
            for _ in range(100):
                await wire.send(b"x")
                await asyncio.sleep(0.2)

        dripping = asyncio.create_task(drip())
        answer = await wire.hear(BODY_DEADLINE_S + GRACE_S)
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)

    assert answer.status in {408, 0}, answer
    assert answer.after_s < BODY_DEADLINE_S + GRACE_S - 0.5, "A deadline, not a pause allowed."


async def test_many_slow_senders_hold_nobody_up(house: House, door: Door) -> None:
    webhook = door.webhook()
    async with AsyncExitStack() as held:
        wires = [await held.enter_async_context(Wire(door.url)) for _ in range(CROWD)]
        for wire in wires:
            await wire.send(
                wire.head([*webhook.headers.items(), ("content-length", str(len(webhook.body)))])
            )
        started = monotonic()
        for _ in range(20):
            await door.accepted()
        took = monotonic() - started
        answers = await asyncio.gather(*(wire.hear(BODY_DEADLINE_S + GRACE_S) for wire in wires))

    assert took < BODY_DEADLINE_S
    assert {answer.status for answer in answers} <= {408, 0}
    assert max(answer.after_s for answer in answers) < BODY_DEADLINE_S + GRACE_S


async def test_many_who_never_ask_hold_nobody_up(house: House, door: Door) -> None:
    async with AsyncExitStack() as held:
        wires = [await held.enter_async_context(Wire(door.url)) for _ in range(CROWD)]
        for wire in wires:
            await wire.send(b"POST /in/")
        started = monotonic()
        for _ in range(20):
            await door.accepted()
        assert monotonic() - started < BODY_DEADLINE_S


async def test_json_nested_without_end(house: House) -> None:
    for scheme in ("stripe", "slack", "standard", "github"):
        door = await house.door(scheme)
        for body in (
            b"[" * 10_000 + b"]" * 10_000,
            b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
            b"[" * 100_000,
        ):
            reply = await door.post(door.webhook(body=body, headers=JSON))
            assert 400 <= reply.status < 500, reply
            assert reply.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"\xff\xfe","type":"x"}',
        b'{"id":"\xc0\xaf","type":"x"}',
        b'{"id":"\xed\xa0\x80","type":"x"}',
        b'{"id":"a\x00b","type":"x"}',
        b"\x00" * 1000,
        b"\xef\xbb\xbf{}\xff",
        b'{"id":"unfinished',
        b"{}{}",
    ],
)
async def test_json_that_is_none_is_refused(house: House, body: bytes) -> None:
    door = await house.door("stripe")

    reply = await door.post(door.webhook(body=body, headers=JSON))

    assert reply.status in {400, 422}, reply
    assert reply.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "a\0b", "type": "x\0y"},
        {"id": "\ud7ff\ue000\U0010ffff", "type": "é\n\r\t"},
        {"id": "x" * 100_000, "type": "y" * 100_000},
        {"id": 7, "type": ["not", "text"]},
        {"id": None, "type": None},
        {"id": "../../etc", "type": "events.*.>"},
        {"id": "' OR 1=1 --", "type": "a b  c"},
    ],
)
async def test_odd_but_valid_json_is_delivered_or_refused(
    house: House, fields: dict[str, object]
) -> None:
    door = await house.door("stripe")
    await house.destination("/odd", source_ids=[door.source["id"]])
    serial = new_serial()
    body = msgspec.json.encode({**fields, "serial": serial})

    reply = await door.post(door.webhook(serial, body=body, headers=JSON))

    assert reply.status in {202, 400, 422}, reply
    if reply.status == 202:
        assert (await house.receiver.first(serial, path="/odd")).body == body
        event = await house.event(reply.json()["id"])
        assert len(event["event_type"]) <= 128
        assert event["event_type"].isascii()
        assert event["event_type"].isprintable()


async def test_null_bytes_where_bytes_are_just_bytes(house: House, door: Door) -> None:
    await house.destination("/nulls", source_ids=[door.source["id"]])
    serial = new_serial()
    body = b"\x00" * 500 + serial.encode() + b"\x00"

    await door.accepted(door.webhook(serial, body=body, headers={"content-type": "text/plain"}))

    assert (await house.receiver.first(serial, path="/nulls")).body == body


@pytest.mark.parametrize(
    "value", ["text/plain; charset=" + "é" * 10, "x" * 5000, "x" * 40_000, "", "\t", "a,b"]
)
async def test_odd_content_types(house: House, door: Door, value: str) -> None:
    await house.destination("/typed", source_ids=[door.source["id"]])
    webhook = door.webhook(headers={"content-type": value})

    reply = await door.post(webhook)

    assert reply.status in {202, 400, 415, 422, 431}, reply
    if reply.status == 202:
        assert (await house.receiver.first(webhook.serial, path="/typed")).body == webhook.body
