"""Listeners who are too slow, or too many: they hurt nobody but themselves."""

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import urlsplit

from tests.acceptance.house import House
from tests.acceptance.inbound.feed import open_feed
from tests.acceptance.inbound.listener import STREAM, Listener
from tests.faults.waiting import until

MEBIBYTE: Final = 1024**2
GROWTH: Final = 192 * MEBIBYTE
"""Kept for each of them, the events would be twice as much and more."""
LARGE: Final = 450 * 1024
PROCESSES: Final = 2
OF_A_TENANT: Final = 100
"""In each process, unless the installation says otherwise."""


def deaf(house: House, query: str) -> socket.socket:
    """Open a stream and never read from it; its window is as small as can be."""
    parts = urlsplit(house.stack.url)
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    held.connect((parts.hostname, parts.port))
    lines = (f"GET {STREAM}{query} HTTP/1.1", f"Host: {parts.netloc}")
    head = "\r\n".join([*lines, f"Authorization: Bearer {house.key}", "", ""])
    held.sendall(head.encode())
    return held


async def test_those_who_never_read_hold_no_memory_and_nobody_up(house: House) -> None:
    feed = await open_feed(house)
    sockets = [deaf(house, f"?include=payload&source_id={feed.id}") for _ in range(12)]
    filler = os.urandom(LARGE // 2).hex()
    try:
        async with Listener(house.stack.url, house.key, {"source_id": feed.id}) as quick:
            first = await feed.send("live.first")
            await quick.hears(first.id)
            before = most = house.stack.memory()
            last = first.id
            for number in range(80):
                sent = await feed.send("live.large", filler=filler, number=number)
                most = max(most, house.stack.memory())
                last = sent.id
            await quick.hears(last)
            most = max(most, house.stack.memory())
    finally:
        for held in sockets:
            held.close()

    assert most - before < GROWTH, f"{(most - before) // MEBIBYTE} MiB for 12 who don't read"


async def test_one_tenants_crowd_leaves_room_for_others(house: House, neighbour: House) -> None:
    async with AsyncExitStack() as opened:
        crowd = [Listener(house.stack.url, house.key) for _ in range(PROCESSES * OF_A_TENANT + 20)]
        await asyncio.gather(*(opened.enter_async_context(one) for one in crowd))
        statuses = {one.answer.status_code for one in crowd if one.answer is not None}
        assert statuses == {200, 429}
        refused = [one.answer for one in crowd if one.answer and one.answer.status_code == 429]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        async with Listener(house.stack.url, neighbour.key) as other:
            assert other.answer is not None
            assert other.answer.status_code == 200
            feed = await open_feed(neighbour)
            await other.hears((await feed.send("live.news")).id)

    async def has_room() -> bool:
        async with Listener(house.stack.url, house.key) as again:
            return again.answer is not None and again.answer.status_code == 200

    await until(has_room, "room for those who come back", within=10)


async def test_who_leaves_at_once_leaves_nothing_behind(house: House) -> None:
    before = house.stack.memory()
    for _ in range(5):
        sockets = [deaf(house, "") for _ in range(60)]
        await asyncio.sleep(0)
        for held in sockets:
            held.close()

    async def is_free() -> bool:
        async with AsyncExitStack() as opened:
            crowd = [Listener(house.stack.url, house.key) for _ in range(40)]
            await asyncio.gather(*(opened.enter_async_context(one) for one in crowd))
            return {one.answer.status_code for one in crowd if one.answer is not None} == {200}

    await until(is_free, "places that are given back", within=15)
    assert house.stack.memory() - before < GROWTH
