"""Many at once: senders who don't say how long a body is, and large bodies over REST."""

import asyncio
import base64
import os
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Final

from crossdock.samples.sender import new_serial
from tests.acceptance.house import Door, House, Webhook
from tests.acceptance.inbound.answers import refused
from tests.acceptance.wire import Heard, Wire
from tests.faults.rest import Reply

MEBIBYTE: Final = 1024**2
CROWD: Final = 40
GROWTH: Final = 384 * MEBIBYTE
"""Of all gateway processes together: what a worst case of theirs may take, with room for noise."""


def chunks(parts: Iterable[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)


async def in_chunks(door: Door, webhook: Webhook, gate: asyncio.Barrier | None = None) -> Heard:
    """Send a webhook without saying how long it is; its end only when all others are there."""
    async with Wire(door.url) as wire:
        head = wire.head([*webhook.headers.items(), ("transfer-encoding", "chunked")])
        await wire.send(head + chunks([webhook.body[:10]]))
        if gate is not None:
            await gate.wait()
        await wire.send(chunks([webhook.body[10:]]) + b"0\r\n\r\n")
        return await wire.hear(10)


async def test_many_small_bodies_of_unknown_length_are_taken_at_once(house: House) -> None:
    door = await house.door("github")
    gate = asyncio.Barrier(CROWD)

    answers = await asyncio.gather(*(in_chunks(door, door.webhook(), gate) for _ in range(CROWD)))

    assert {answer.status for answer in answers} == {202}, answers


async def test_those_who_hold_room_for_nothing_leave_it_to_others(
    house: House, neighbour: House
) -> None:
    one, other = await house.door("github"), await neighbour.door("github")
    body = os.urandom(MEBIBYTE)
    async with AsyncExitStack() as held:
        for door in (one, other) * 12:
            wire = await held.enter_async_context(Wire(door.url))
            headers = [*door.webhook().headers.items(), ("transfer-encoding", "chunked")]
            await wire.send(wire.head(headers) + chunks([b"x"]))
        honest = await neighbour.door("standard")
        webhook = honest.webhook(body=body, headers={"content-type": "application/octet-stream"})

        replies = [await honest.post(webhook) for _ in range(4)]

    assert 202 in {reply.status for reply in replies}, replies


async def test_large_events_published_at_once_do_not_swell_a_gateway(house: House) -> None:
    payload = base64.b64encode(os.urandom(4 * MEBIBYTE)).decode()
    before = house.stack.memory()
    most = before
    callers = [house.stack.rest(house.key) for _ in range(CROWD)]

    async def publish(index: int) -> Reply:
        body = {"id": new_serial(), "event_type": "own.large", "payload_base64": payload}
        return await callers[index].call("POST", "/v1/events", body)

    publishing = asyncio.gather(*(publish(index) for index in range(CROWD)))
    try:
        while not publishing.done():
            most = max(most, house.stack.memory())
            await asyncio.wait({publishing}, timeout=0.02)
        replies = await publishing
    finally:
        for caller in callers:
            await caller.__aexit__()

    for reply in replies:
        if reply.status != 202:
            refused(reply, {413, 429, 503})
    assert 202 in {reply.status for reply in replies}
    assert most - before < GROWTH, f"{(most - before) // MEBIBYTE} MiB"
