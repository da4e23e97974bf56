"""Bodies: bounded in size and in time."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from crossdock.errors import Malformed, TimedOut, TooLarge
from gateway.asgi import Receive
from gateway.edge.body import Bodies
from gateway.edge.unread import UNKNOWN

TIMEOUT_S = 10.0
LIMIT = 100


@pytest.fixture
async def bodies() -> Bodies:
    return Bodies(TIMEOUT_S)


def sender(chunks: Iterable[bytes], *, gone: bool = False) -> Receive:
    """Give chunks as the server does: each says that more follows, and the last one is empty."""
    events: list[Any] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
    ]
    events.append(
        {"type": "http.disconnect"}
        if gone
        else {"type": "http.request", "body": b"", "more_body": False}
    )
    found = iter(events)

    async def receive() -> Any:
        return next(found)

    return receive


async def stall() -> Any:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("length", [6, UNKNOWN])
@pytest.mark.parametrize("chunks", [[b"abcdef"], [b"abc", b"def"], [b"a", b"", b"bcdef"]])
async def test_a_body_is_read_whole(bodies: Bodies, chunks: list[bytes], length: int) -> None:
    assert await bodies.read(sender(chunks), length, LIMIT) == b"abcdef"


@pytest.mark.parametrize("length", [0, UNKNOWN])
async def test_a_body_may_be_empty(bodies: Bodies, length: int) -> None:
    assert await bodies.read(sender([]), length, LIMIT) == b""


async def test_a_body_of_known_length_asks_no_more_than_it_must(bodies: Bodies) -> None:
    receive = sender([b"abcdef"])

    await bodies.read(receive, 6, LIMIT)

    assert (await receive())["more_body"] is False


async def test_the_limit_itself_is_allowed(bodies: Bodies) -> None:
    assert len(await bodies.read(sender([b"x" * LIMIT]), LIMIT, LIMIT)) == LIMIT
    assert len(await bodies.read(sender([b"x" * 60, b"x" * 40]), UNKNOWN, LIMIT)) == LIMIT


async def test_a_length_over_the_limit_is_refused_unread(bodies: Bodies) -> None:
    with pytest.raises(TooLarge):
        await bodies.read(stall, LIMIT + 1, LIMIT)


@pytest.mark.parametrize("length", [UNKNOWN, 5])
async def test_a_body_over_the_limit_is_not_read_further(bodies: Bodies, length: int) -> None:
    endless = sender(b"x" * 60 for _ in range(100))

    with pytest.raises(TooLarge):
        await bodies.read(endless, length, LIMIT)

    assert (await endless())["body"] == b"x" * 60


@pytest.mark.parametrize("chunks", [[], [b"abc"]])
async def test_a_sender_that_goes_away(bodies: Bodies, chunks: list[bytes]) -> None:
    with pytest.raises(Malformed):
        await bodies.read(sender(chunks, gone=True), 6, LIMIT)


@pytest.fixture
async def stalled(bodies: Bodies) -> AsyncIterator["asyncio.Task[bytes]"]:
    """A body that never comes."""
    task = asyncio.create_task(bodies.read(stall, 6, LIMIT))
    await asyncio.sleep(0)
    yield task
    task.cancel()


async def test_a_stalled_body_has_a_deadline(
    bodies: Bodies, stalled: "asyncio.Task[bytes]"
) -> None:
    bodies.tick(0.0)
    bodies.tick(TIMEOUT_S - 0.1)
    await asyncio.sleep(0)
    assert not stalled.done()

    bodies.tick(TIMEOUT_S)
    bodies.tick(TIMEOUT_S + 0.1)

    with pytest.raises(TimedOut):
        await stalled


async def test_a_body_that_began_later_has_its_own(
    bodies: Bodies, stalled: "asyncio.Task[bytes]"
) -> None:
    bodies.tick(0.0)
    later = asyncio.create_task(bodies.read(stall, 6, LIMIT))
    await asyncio.sleep(0)

    bodies.tick(TIMEOUT_S)

    with pytest.raises(TimedOut):
        await stalled
    assert not later.done()
    later.cancel()


async def test_a_task_that_timed_out_goes_on(bodies: Bodies) -> None:
    async def request() -> str:
        try:
            await bodies.read(stall, 6, LIMIT)
        except TimedOut:
            async with asyncio.timeout(1):
                await asyncio.sleep(0)
            return "answered"
        return ""

    task = asyncio.create_task(request())
    await asyncio.sleep(0)
    bodies.tick(0.0)
    bodies.tick(TIMEOUT_S)

    assert await task == "answered"
    assert task.cancelling() == 0


async def test_a_cancellation_of_somebody_elses_is_not_a_timeout(
    stalled: "asyncio.Task[bytes]",
) -> None:
    stalled.cancel()

    with pytest.raises(asyncio.CancelledError):
        await stalled
