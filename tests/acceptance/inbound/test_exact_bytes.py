"""Events are their bytes: stored, shown and delivered as they came, of whatever kind and size."""

import asyncio
import base64
import hashlib
import os
import random
from typing import Any, Final

import pytest

from crossdock.bus import connect
from crossdock.samples.sender import new_serial
from crossdock.supervisor.folder import DataFolder
from tests.acceptance.house import Door, House
from tests.acceptance.inbound.answers import refused
from tests.faults.waiting import until

MEBIBYTE: Final = 1024**2
BODIES: Final[dict[str, bytes]] = {
    "every byte": bytes(range(256)) * 4,
    "no UTF-8": b"\xff\xfe\x00\x00" + bytes(range(128, 256)),
    "NULs": b"\x00" * 700,
    "a byte order mark": b"\xef\xbb\xbf" + b'{"a": 1}\r\n',
    "UTF-16": '{"a": "é"}'.encode("utf-16"),
    "line ends of all kinds": b"a\rb\nc\r\nd\n\r\x0b\x0c\x85",
    "one byte": b"\x00",
    "JSON with spaces": b'\t { "b" : 1.10 , "a" : 1e5, "b" : 2 }\n\n',
}
SIZES: Final = {
    "just inline": 512 * 1024,
    "just claimed": 512 * 1024 + 1,
    "over the broker's limit": MEBIBYTE + 17,
    "4 MiB": 4 * MEBIBYTE,
}


@pytest.fixture(scope="module")
async def door(house: House) -> Door:
    """A source that signs the body alone, whatever it is."""
    return await house.door("github")


@pytest.fixture(scope="module")
async def path(house: House, door: Door) -> str:
    """Where its events are delivered."""
    where = f"/{new_serial()}"
    await house.destination(where, source_ids=[door.source["id"]])
    return where


async def check(house: House, path: str, event_id: str, body: bytes, content_type: str) -> None:
    """Check every place where an event's bytes are shown."""
    await house.settled(event_id, "delivered")
    arrival = next(one for one in house.receiver.at(path) if one.event_id == event_id)
    assert digest(arrival.body) == digest(body)
    assert arrival.headers["content-type"] == content_type
    raw = await house.rest.call("GET", f"/v1/events/{event_id}/payload")
    assert raw.status == 200, raw.status
    assert digest(raw.body) == digest(body)
    event = await house.event(event_id)
    assert event["size"] == len(body)
    assert shown(event) == body


def digest(body: bytes) -> tuple[int, str]:
    return len(body), hashlib.sha256(body).hexdigest()


def shown(event: Any) -> bytes:
    """Return what an event says its payload is."""
    if event["payload"] is not None:
        text: str = event["payload"]
        return text.encode()
    return base64.b64decode(event["payload_base64"])


@pytest.mark.parametrize("kind", BODIES)
async def test_bytes_are_kept(house: House, door: Door, path: str, kind: str) -> None:
    headers = {"content-type": "application/octet-stream"}
    body = BODIES[kind]

    event_id = await door.accepted(door.webhook(body=body, headers=headers))

    await check(house, path, event_id, body, headers["content-type"])


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("content", ["binary", "text"])
async def test_large_bodies_are_kept(
    house: House, door: Door, path: str, kind: str, content: str
) -> None:
    size = SIZES[kind]
    made = random.Random(kind).randbytes(size)  # noqa: S311 - bytes that don't compress
    body = made if content == "binary" else base64.b64encode(made)[:size]
    headers = {"content-type": "application/octet-stream"}

    event_id = await door.accepted(door.webhook(body=body, headers=headers))

    await check(house, path, event_id, body, headers["content-type"])


async def test_a_large_body_that_is_sent_again_is_the_same_event(
    house: House, door: Door, path: str
) -> None:
    webhook = door.webhook(body=os.urandom(MEBIBYTE * 2), headers={"content-type": "a/b"})

    first = await door.accepted(webhook)
    second = await door.accepted(webhook)

    assert (await house.event(second))["id"] == (await house.event(first))["id"]
    await house.settled(first, "delivered")
    assert len(await house.deliveries(first)) == 1
    assert await leftovers(house) == 0


async def leftovers(house: House) -> int:
    """Return how much of large bodies the broker still holds once all are stored."""
    bus = await connect(DataFolder(house.stack.folder).settings().nats, wait_s=5)
    try:

        async def nothing() -> bool:
            info = await bus.jetstream().stream_info("OBJ_BODIES")
            return info.state.messages == 0

        await until(nothing, "an empty bucket", within=10)
    finally:
        await bus.close()
    return 0


async def test_the_largest_is_taken_and_one_byte_more_is_not(
    house: House, door: Door, path: str
) -> None:
    limit = door.source["max_body_bytes"]
    assert limit == 5 * MEBIBYTE
    headers = {"content-type": "text/plain"}

    over = await door.post(door.webhook(body=b"x" * (limit + 1), headers=headers))
    most = await door.post(door.webhook(body=b"y" * limit, headers=headers))

    refused(over, 413, "too-large")
    assert most.status == 202, most
    await check(house, path, most.json()["id"], b"y" * limit, "text/plain")


async def test_many_large_bodies_at_once(house: House, door: Door, path: str) -> None:
    bodies = [os.urandom(3 * MEBIBYTE) for _ in range(8)]
    headers = {"content-type": "application/octet-stream"}

    replies = await asyncio.gather(
        *(door.post(door.webhook(body=body, headers=headers)) for body in bodies)
    )

    taken = [
        (reply.json()["id"], body)
        for reply, body in zip(replies, bodies, strict=True)
        if reply.status == 202
    ]
    assert {reply.status for reply in replies} <= {202, 503}, replies
    assert taken
    for event_id, body in taken:
        await check(house, path, event_id, body, headers["content-type"])
