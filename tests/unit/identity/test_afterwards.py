"""Work that nobody waits for."""

import asyncio

import pytest

from crossdock.errors import Busy, DatabaseUnavailable
from crossdock.identity.afterwards import Afterwards


async def test_what_was_put_is_done_and_what_fails_fails_alone() -> None:
    done = []

    async def away() -> None:
        raise DatabaseUnavailable

    async def broken() -> None:
        raise ZeroDivisionError

    async def fine() -> None:
        done.append(True)

    afterwards = Afterwards()
    for work in (away, broken, fine):
        afterwards.put("work", work)
    assert not done
    await afterwards.drain()
    assert done == [True]


async def test_only_so_much_runs_at_once_and_waits() -> None:
    gate, running = asyncio.Event(), []

    async def work() -> None:
        running.append(True)
        await gate.wait()

    afterwards = Afterwards(at_once=2, waiting=5)
    for _ in range(5):
        afterwards.put("work", work)
    with pytest.raises(Busy):
        afterwards.put("work", work)
    while len(running) < 2:
        await asyncio.sleep(0)
    assert len(running) == 2
    gate.set()
    await afterwards.drain()
    assert len(running) == 5
    afterwards.put("work", work)
    await afterwards.drain()
