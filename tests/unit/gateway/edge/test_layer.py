"""What stands around the REST API, whatever it does."""

import asyncio
from typing import Any

import httpx
import pytest

from gateway.asgi import Application, Receive, Scope, Send
from gateway.edge.cors import Cors
from gateway.edge.headers import ALWAYS, transport
from gateway.edge.layer import Edge

ORIGIN = "https://console.example"


def client(app: Application, *, deadline_s: float = 60.0) -> httpx.AsyncClient:
    edge = Edge(app, Cors([ORIGIN]), transport("https://hooks.example"), deadline_s)
    transport_ = httpx.ASGITransport(edge)
    return httpx.AsyncClient(transport=transport_, base_url="http://edge")


def assert_secured(answer: httpx.Response) -> None:
    for name, value in ALWAYS:
        assert answer.headers.get_list(name.decode()) == [value.decode()]
    assert answer.headers["strict-transport-security"].startswith("max-age=")


async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("the password is hunter2")


async def stuck(_scope: Scope, _receive: Receive, _send: Send) -> None:
    await asyncio.get_running_loop().create_future()


async def echoing(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer with the method it sees."""
    text = str(scope["method"]).encode()
    headers = [(b"content-length", str(len(text)).encode()), (b"allow", b"GET, OPTIONS")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def test_where_the_application_breaks_there_is_an_answer_that_tells_nothing() -> None:
    async with client(broken) as http:
        answer = await http.get("/v1/sources", headers={"origin": ORIGIN})

    assert answer.status_code == 500
    assert set(answer.json()) == {"type", "title", "status", "instance"}
    assert answer.json()["instance"].startswith("urn:uuid:")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert_secured(answer)


async def test_what_takes_too_long_is_given_up() -> None:
    async with client(stuck, deadline_s=0.01) as http:
        answer = await http.get("/v1/sources")

    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/unavailable"
    assert answer.json()["instance"] == "/v1/sources"
    assert int(answer.headers["retry-after"]) >= 1
    assert_secured(answer)


async def test_somebody_elses_timeout_is_not_the_deadline() -> None:
    async def impatient(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise TimeoutError

    async with client(impatient) as http:
        assert (await http.get("/")).status_code == 500


async def test_an_answer_that_began_is_not_begun_again() -> None:
    sent: list[Any] = []

    async def half(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    async def note(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await Edge(half, Cors(()), ())(scope, receive, note)

    assert [message["type"] for message in sent] == ["http.response.start"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_head_is_get_without_its_body(method: str) -> None:
    async with client(echoing) as http:
        answer = await http.request(method, "/")

    assert answer.headers["content-length"] == "3"
    assert answer.content == (b"GET" if method == "GET" else b"")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_a_cancelled_request_is_not_answered() -> None:
    edge = Edge(stuck, Cors(()), ())
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}

    async def none(*_: Any) -> Any:
        raise AssertionError

    task = asyncio.ensure_future(edge(scope, none, none))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
