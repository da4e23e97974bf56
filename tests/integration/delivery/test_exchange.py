"""One exchange with servers that answer in every way we could think of."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from crossdock.delivery.client import Client
from crossdock.delivery.exchange import CallFailed
from crossdock.delivery.model import BODY_KEPT
from tests.beds.speaking import BODY, DEV, answering, call, failure, read_request, serving, speaking


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client that may call this machine."""
    async with Client(DEV, connections=8) as found:
        yield found


async def test_the_bytes_and_headers_arrive_as_they_are(client: Client) -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.path_qs, request.headers, await request.read()))
        return web.Response(status=201, text="thanks", headers={"x-trace": "1"})

    async with serving(handler) as url:
        headers = {"content-type": "text/x", "webhook-id": "evt_1"}
        answer = await client.post(url.with_query("a=/"), headers, BODY, 5.0)
    assert (answer.status, answer.body, answer.note) == (201, b"thanks", None)
    assert ("x-trace", "1") in answer.headers
    method, path, got, body = seen[0]
    assert (method, path, body) == ("POST", "/hook?a=/", BODY)
    assert got["webhook-id"] == "evt_1"
    assert got["content-type"] == "text/x"
    assert "Accept-Encoding" not in got
    assert "Authorization" not in got


async def test_no_proxy_cookie_or_credential_is_taken_from_anywhere(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    seen: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        return web.Response(headers={"set-cookie": "a=b; Path=/"})

    async with serving(handler) as url:
        await call(client, url)
        await call(client, url)
    assert len(seen) == 2
    assert not {"Cookie", "Authorization"} & seen[1].keys()


async def test_redirects_are_not_followed(client: Client) -> None:
    hits = []

    async def handler(request: web.Request) -> web.Response:
        hits.append(request.path)
        return web.Response(status=307, headers={"location": "/elsewhere"})

    async with serving(handler) as url:
        assert (await call(client, url)).status == 307
    assert hits == ["/hook"]


# Answers that are too much


async def test_of_a_gigabyte_only_the_start_is_read(client: Client) -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"content-length": str(1 << 30)})
        await response.prepare(request)
        for _ in range(1 << 14):
            await response.write(b"x" * (1 << 16))
            sent += 1 << 16
        return response

    async with serving(handler) as url:
        answer = await call(client, url)
        assert answer.status == 200
        assert answer.body == b"x" * BODY_KEPT
        assert answer.note is None
        assert sent < 32 << 20, "the connection was closed on it"


async def test_a_body_that_never_ends_keeps_the_status_it_came_with(client: Client) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with speaking(speak) as url:
        answer = await call(client, url, timeout_s=0.3)
    assert answer.status == 200
    assert 0 < len(answer.body) < 100
    assert answer.note == "the body did not end in time"


async def test_a_compressed_bomb_is_kept_as_it_came(client: Client) -> None:
    bomb = gzip.compress(b"\0" * (64 << 20))

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"content-encoding": "gzip"})

    async with serving(handler) as url:
        answer = await call(client, url)
    assert answer.body == bomb[:BODY_KEPT]


async def test_kept_headers_are_bounded(client: Client) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(headers={f"x-{n}": "v" * 1000 for n in range(50)})

    async with serving(handler) as url:
        answer = await call(client, url)
    assert sum(len(name) + len(value) for name, value in answer.headers) <= 8192


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
        b"220 smtp.example.com ESMTP\r\n",
        b"HTTP/9.9 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"O" * 100_000 + b"K\r\n\r\n",
        b"".join([b"HTTP/1.1 200 OK\r\n", *(b"x-%d: 1\r\n" % n for n in range(5000)), b"\r\n"]),
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"\x00" * 1000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=lambda raw: raw[:24],
)
async def test_garbage_is_odd_and_harmless(client: Client, raw: bytes) -> None:
    async with speaking(answering(raw)) as url:
        assert await failure(client, url) in {"odd", "read"}


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc",
    ],
)
async def test_a_broken_body_keeps_the_status_it_came_with(client: Client, raw: bytes) -> None:
    async with speaking(answering(raw)) as url:
        answer = await call(client, url)
    assert answer.status == 200
    assert answer.note is not None


async def test_interim_answers_are_skipped(client: Client) -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + b"HTTP/1.1 204 No Content\r\n\r\n"
    async with speaking(answering(raw)) as url:
        assert (await call(client, url)).status == 204


async def test_interim_answers_without_end_cost_nobody_else_time(client: Client) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
            await writer.drain()
            await asyncio.sleep(0)

    async with speaking(speak) as url:
        with pytest.raises(CallFailed) as caught:
            await call(client, url)
    assert caught.value.kind == "odd"


async def test_an_early_answer_counts_though_our_body_is_not_read(client: Client) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(5)

    async with speaking(speak) as url:
        async with asyncio.timeout(4):
            answer = await client.post(url, {}, b"x" * 1_000_000, 3.0)
    assert answer.status == 413


# No answer at all


async def test_no_answer_in_time_is_a_timeout(client: Client) -> None:
    async def speak(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with speaking(speak) as url:
        started = asyncio.get_running_loop().time()
        assert await failure(client, url, timeout_s=0.2) == "timeout"
        assert asyncio.get_running_loop().time() - started < 1


async def test_headers_one_byte_at_a_time_are_a_timeout(client: Client) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 10_000:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with speaking(speak) as url:
        assert await failure(client, url, timeout_s=0.3) == "timeout"


async def test_a_closed_port_is_a_connect_failure(client: Client) -> None:
    async with speaking(answering(b"")) as url:
        pass
    assert await failure(client, url) == "connect"


async def test_a_name_that_does_not_resolve_is_a_connect_failure(client: Client) -> None:
    assert await failure(client, URL("http://nothing.invalid/")) == "connect"


async def test_a_connection_cut_before_an_answer_is_a_read_failure(client: Client) -> None:
    calls = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await read_request(reader)

    async with speaking(speak) as url:
        assert await failure(client, url) == "read"
    assert calls == 1, "it was a fresh connection, so it is not tried again at once"


async def test_a_kept_connection_that_had_been_closed_costs_nothing(client: Client) -> None:
    connections = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        if connections == 1:
            await reader.readexactly(1)  # the next request comes, and the server hangs up on it

    async with speaking(speak) as url:
        assert (await call(client, url)).status == 204
        assert (await call(client, url)).status == 204
    assert connections == 2


# What may not be sent


@pytest.mark.parametrize("name", ["x", "x-a\r\nx-b", "x\ny", "x\ry"])
@pytest.mark.parametrize("value", ["v", "v\r\nx-b: 1", "v\ny", "v\ry", "v\0"])
async def test_a_header_never_becomes_two(client: Client, name: str, value: str) -> None:
    heads: list[bytes] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with speaking(speak) as url:
        if (name, value) == ("x", "v"):
            await client.post(url, {name: value}, BODY, 5.0)
            assert b"\r\nx: v\r\n" in heads[0]
            return
        with pytest.raises(CallFailed) as caught:
            await client.post(url, {name: value}, BODY, 5.0)
    assert caught.value.kind == "odd"
    assert not heads


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/passwd", "http:///path"])
async def test_what_is_not_http_is_refused(client: Client, url: str) -> None:
    assert await failure(client, URL(url)) == "refused"


# What becomes of the connection


async def test_what_was_not_sent_when_the_answer_came_is_never_sent(client: Client) -> None:
    ended = asyncio.Event()
    begun = arrived = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal begun, arrived
        begun += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        if begun == 1:
            await asyncio.sleep(0.1)
            while data := await reader.read(1 << 20):
                arrived += len(data)
            ended.set()

    async with speaking(speak) as url:
        for _ in range(2):
            assert (await client.post(url, {}, b"x" * 30_000_000, 5.0)).status == 413
        async with asyncio.timeout(4):
            await ended.wait()
    assert begun == 2, "it is not used again"
    assert arrived < 30_000_000


async def test_calls_take_turns_on_one_connection(client: Client) -> None:
    connections = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(3):
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with speaking(speak) as url:
        for _ in range(3):
            assert (await call(client, url)).body == b"ok"
    assert connections == 1
