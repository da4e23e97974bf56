"""An answer that goes on: the edge's deadline ends where it begins, and its reader is missed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.edge.cors import Cors
from gateway.edge.layer import Edge
from gateway.streaming import EventStream, Serve, Write

SHORT_S = 0.05
LONG_S = 0.3


async def ask(app: Any, method: str = "GET", *, leaves: bool = False) -> list[Any]:
    """Return what an application behind the edge says."""
    said: list[Any] = []
    gone = asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        gone.clear()  # it is said once
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.append(message)
        if leaves and message["type"] == "http.response.body":
            gone.set()

    scope = {"type": "http", "method": method, "path": "/x", "headers": [], "query_string": b""}
    await Edge(app, Cors(()), (), SHORT_S)(scope, receive, send)
    return said


def answering(media_type: bytes, *, late: bool = False) -> Any:
    """Return an application that takes too long for an end, or for a beginning."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await asyncio.sleep(LONG_S if late else 0)
        headers = [(b"content-type", media_type)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await asyncio.sleep(LONG_S)
        await send({"type": "http.response.body", "body": b"end"})

    return app


async def test_a_stream_outlasts_the_deadline() -> None:
    said = await ask(answering(b"text/event-stream; charset=utf-8"))
    assert said[-1]["body"] == b"end"


async def test_another_answer_does_not() -> None:
    said = await ask(answering(b"application/json"))
    assert [one["type"] for one in said] == ["http.response.start"]


async def test_a_stream_has_to_begin_in_time() -> None:
    said = await ask(answering(b"text/event-stream", late=True))
    assert said[0]["status"] == 503


class Served:
    """A stream that writes for ever."""

    def __init__(self) -> None:
        self.is_open = False

    @asynccontextmanager
    async def opening(self) -> AsyncIterator[Serve]:
        self.is_open = True
        try:
            yield self.serve
        finally:
            self.is_open = False

    async def serve(self, write: Write) -> None:
        await write(b"a")
        await asyncio.Event().wait()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        await EventStream(self.opening).to_asgi_response()(scope, receive, send)


async def test_when_the_reader_leaves_all_is_let_go() -> None:
    served = Served()
    tasks = len(asyncio.all_tasks())
    said = await ask(served.app, leaves=True)
    assert [one.get("body") for one in said] == [None, b"a", b""]
    assert not served.is_open
    assert len(asyncio.all_tasks()) == tasks


async def test_head_is_answered_by_headers_alone() -> None:
    served = Served()
    said = await ask(served.app, "HEAD")
    assert [one.get("body") for one in said] == [None, b""]
    assert not served.is_open


async def test_what_refuses_to_open_is_no_stream() -> None:
    class Refusal(Exception):
        pass

    @asynccontextmanager
    async def opening() -> AsyncIterator[Serve]:
        raise Refusal
        yield  # type: ignore[unreachable]

    said: list[Any] = []
    with pytest.raises(Refusal):
        await EventStream(opening).to_asgi_response()({}, None, said.append)  # type: ignore[arg-type]
    assert said == []
