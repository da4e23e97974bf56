"""What is left of answered requests: read off, within bounds, and only where there is something."""

import asyncio
from typing import Any

import pytest

from gateway.asgi import Receive, Scope, Send
from gateway.edge import unread
from gateway.edge.unread import CLOSE, MOST_BYTES, UNKNOWN, Drain, Drained, farewell, length_of

HALF = b"x" * (MOST_BYTES // 2)
CHUNKED = (b"transfer-encoding", b"chunked")


def length(size: int) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % size)


class Sender:
    """Sends pieces of a body, counting how many were asked for."""

    def __init__(self, *pieces: bytes, ends: bool = True) -> None:
        self._pieces = list(pieces)
        self._ends = ends
        self.asked = 0

    async def __call__(self) -> Any:
        self.asked += 1
        if self._pieces:
            more = len(self._pieces) > 1 or not self._ends
            return {"type": "http.request", "body": self._pieces.pop(0), "more_body": more}
        await asyncio.get_running_loop().create_future()
        return None


async def _refusing(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 413, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _reading(_scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["more_body"]:
        pass
    await _refusing(_scope, receive, send)


async def served(app: Any, sender: Sender, *headers: tuple[bytes, bytes]) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await Drained(app)({"type": "http", "headers": list(headers)}, sender, send)
    return sent


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ([], 0),
        ([length(0)], 0),
        ([length(7)], 7),
        ([CHUNKED], UNKNOWN),
        ([(b"content-length", b"junk")], UNKNOWN),
        ([(b"content-type", b"text/plain")], 0),
    ],
)
def test_how_long_a_body_is(headers: list[Any], size: int) -> None:
    assert length_of(headers) == size


@pytest.mark.parametrize(
    ("headers", "last"),
    [
        ([], False),
        ([length(MOST_BYTES)], False),
        ([length(MOST_BYTES + 1)], True),
        ([CHUNKED], True),
        ([length(7), (b"expect", b"100-continue")], True),
    ],
)
def test_when_a_connection_is_of_no_more_use(headers: list[Any], last: bool) -> None:  # noqa: FBT001
    assert farewell(headers) == ((CLOSE,) if last else ())


async def test_the_answer_goes_first_and_the_rest_is_read_off() -> None:
    sender = Sender(b"a", b"b", b"c")

    sent = await served(_refusing, sender, length(3))

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["headers"] == []
    assert sender.asked == 3


async def test_what_was_read_is_not_waited_for() -> None:
    sender = Sender(b"a", b"b")

    sent = await served(_reading, sender, CHUNKED)

    assert sent[0]["headers"] == []
    assert sender.asked == 2


async def test_where_there_is_no_body_nothing_is_asked_for() -> None:
    sender = Sender()

    await served(_refusing, sender, (b"accept", b"*/*"))

    assert sender.asked == 0


async def test_an_endless_body_is_left_after_so_many_bytes() -> None:
    sender = Sender(HALF, HALF, HALF, HALF, ends=False)

    sent = await served(_refusing, sender, CHUNKED)

    assert CLOSE in sent[0]["headers"]
    assert sender.asked == 3


async def test_a_stalled_one_after_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "MOST_S", 0.01)
    sender = Sender(b"a", ends=False)

    await served(_refusing, sender, length(9))

    assert sender.asked == 2


async def test_a_crowd_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "AT_ONCE", 2)
    drain, scope = Drain(), {"headers": [length(9)]}
    stalled = [Sender(b"a", ends=False) for _ in range(3)]

    waiting = [asyncio.create_task(drain.take(scope, sender)) for sender in stalled[:2]]
    await asyncio.sleep(0)
    await drain.take(scope, stalled[2])

    assert stalled[2].asked == 0
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    last = Sender(b"a")
    await drain.take(scope, last)
    assert last.asked == 1, "places are given back"
