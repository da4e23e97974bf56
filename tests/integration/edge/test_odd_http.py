"""HTTP that no client library sends, on a real server: answered or refused, and never a 500.

Nor silence, nor a request that another server's rules would cut differently.
"""

import asyncio
import contextlib
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

INGEST: Final = b"/in/" + b"0" * 32
WITHIN_S: Final = 30.0
"""Until the connection closes; only a hang takes longer."""
CLOSE: Final = b"Connection: close\r\n"


class Heard(NamedTuple):
    """All that came back on a connection until it closed."""

    text: bytes

    @property
    def answers(self) -> list[bytes]:
        """Each answer's status line and what follows it."""
        return [b"HTTP/1.1 " + part for part in self.text.split(b"HTTP/1.1 ")[1:]]

    @property
    def status(self) -> int:
        """Of the first answer; 0 where the connection closed without one."""
        return int(self.answers[0].split(b" ")[1]) if self.answers else 0

    @property
    def head(self) -> bytes:
        """The first answer's, in lower case."""
        return self.answers[0].partition(b"\r\n\r\n")[0].lower()

    @property
    def body(self) -> bytes:
        return self.answers[0].partition(b"\r\n\r\n")[2]

    @property
    def is_refusal(self) -> bool:
        """Whether it was refused: by a 4xx, or by closing the connection."""
        return self.status == 0 or 400 <= self.status < 500


async def heard(url: str, *parts: bytes) -> Heard:
    """Send bytes, and return all that comes back."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    text = b""
    try:
        with contextlib.suppress(OSError):
            for part in parts:
                writer.write(part)
                await writer.drain()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(WITHIN_S):
                while piece := await reader.read(65_536):
                    text += piece
    finally:
        writer.close()
    return Heard(text)


def request(method: bytes, target: bytes, *lines: bytes) -> bytes:
    """Return a request's head, for a connection that ends with its answer."""
    head = b"%s %s HTTP/1.1\r\nHost: x\r\n" % (method, target)
    return head + b"".join(line + b"\r\n" for line in lines) + CLOSE + b"\r\n"


BODY: Final = b'{"email":"a","password":"b"}'
JSON: Final = b"Content-Type: application/json"
LENGTH: Final = b"Content-Length: %d" % len(BODY)
SMUGGLED: Final = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"

CONTRADICTORY: Final = {
    "two lengths": (LENGTH, b"Content-Length: 5"),
    "two lengths in one": (b"Content-Length: 28, 5",),
    "a length with a sign": (b"Content-Length: +28",),
    "a length below nothing": (b"Content-Length: -1",),
    "a length of letters": (b"Content-Length: 1e1",),
    "a length of hex": (b"Content-Length: 0x1c",),
    "a length without end": (b"Content-Length: " + b"9" * 40,),
    "chunked and a length": (LENGTH, b"Transfer-Encoding: chunked"),
    "chunked not last": (b"Transfer-Encoding: chunked, gzip",),
    "an encoding that nobody knows": (b"Transfer-Encoding: xchunked",),
    "chunked in disguise": (b"Transfer-Encoding : chunked",),
    "chunked behind a tab": (b"Transfer-Encoding:\x0bchunked",),
    "folded": (b"Transfer-Encoding:\r\n chunked",),
}


@pytest.mark.parametrize("target", [b"/v1/auth/login", INGEST], ids=["rest", "ingest"])
@pytest.mark.parametrize("name", CONTRADICTORY)
async def test_contradictory_lengths_are_refused(gateway: str, name: str, target: bytes) -> None:
    chunks = b"1c\r\n" + BODY + b"\r\n0\r\n\r\n"

    found = await heard(
        gateway, request(b"POST", target, JSON, *CONTRADICTORY[name]), chunks + SMUGGLED
    )

    assert found.is_refusal, found
    assert len(found.answers) <= 1, "what follows was taken for another request"


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"-1\r\n\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nabc",
        b"3\r\nabcdef\r\n0\r\n\r\n",
        b"3;" + b"x" * 70_000 + b"\r\nabc\r\n0\r\n\r\n",
    ],
    ids=["no number", "negative", "endless", "longer than it says", "a long extension"],
)
async def test_chunks_that_are_none(gateway: str, chunks: bytes) -> None:
    head = request(b"POST", b"/v1/auth/login", JSON, b"Transfer-Encoding: chunked")

    found = await heard(gateway, head, chunks)

    assert found.is_refusal, found


@pytest.mark.parametrize(
    "lines",
    [
        (b"X: " + b"y" * 200_000,),
        tuple(b"X-%d: y" % number for number in range(5_000)),
        tuple(b"Cookie: c%d=%s" % (number, b"y" * 1_000) for number in range(100)),
        (b"X" * 70_000 + b": y",),
    ],
    ids=["one huge", "many", "cookies", "a huge name"],
)
@pytest.mark.parametrize("target", [b"/v1/sources", INGEST], ids=["rest", "ingest"])
async def test_headers_beyond_measure(
    gateway: str, target: bytes, lines: tuple[bytes, ...]
) -> None:
    found = await heard(gateway, request(b"GET", target, *lines))

    assert found.is_refusal, found


@pytest.mark.parametrize(
    "line",
    [b"X: a\x00b", b"X: a\rb", b"X\x00: a", b"X Y: a", b": a", b"X", b"X: a\nY: b", b"\xff: a"],
)
async def test_headers_that_are_none(gateway: str, line: bytes) -> None:
    found = await heard(gateway, request(b"GET", b"/v1/sources", line))

    assert found.is_refusal, found


TARGETS: Final = (
    *(b"/%00", b"/v1/sources/%00", b"/v1/sources/src_%00", b"/in/%00", b"/in/" + b"%00" * 32),
    *(b"/..", b"/../../etc/passwd", b"/v1/../health/live", b"/v1/%2e%2e/health/live", b"/./v1"),
    *(b"/v1%2fsources", b"/v1/sources%2f", b"/v1/sources/%2e%2e%2fhealth", b"//v1/sources"),
    *(b"/v1//sources", b"/v1/sources/", b"/%", b"/%zz", b"/%ff%fe", b"/v1/sources/%ed%a0%80"),
    *(b"/v1/sources;a=b", b"/v1/sources?", b"/v1/sources?%00", b"/v1/sources?a=%ff&%fe=1"),
    *(b"/v1/sources?limit=1&limit=2", b"/v1/sources??", b"/v1/sources?" + b"a&" * 4_000),
    *(b"/" + b"a" * 30_000, b"/" + b"a/" * 10_000, b"/in/" + b"a" * 30_000, b"/in/", b"/in"),
    *(b"http://x/v1/sources", b"http://evil.example/health/live", b"https://x:1/in/abc"),
    *(b"*", b"x:443", b"v1/sources", b"/\xc3\xa9", b"/v1/sources#fragment", b"/v1\\sources"),
)


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("target", TARGETS, ids=range(len(TARGETS)))
async def test_odd_targets(gateway: str, target: bytes, method: bytes) -> None:
    found = await heard(gateway, request(method, target, b"Content-Length: 0"))

    assert found.is_refusal or found.status == 200, found
    if found.status == 200:
        assert target.endswith((b"/health/live", b"/v1/sources")), found
    elif found.body:
        assert b"content-type: application/problem+json" in found.head
        assert set(msgspec.json.decode(found.body)) >= {"type", "title", "status"}


async def test_a_target_longer_than_all_headers_may_be(gateway: str) -> None:
    found = await heard(gateway, request(b"GET", b"/" + b"a" * 300_000))

    assert found.is_refusal, found


@pytest.mark.parametrize(
    ("method", "target", "statuses"),
    [
        (b"OPTIONS", b"*", {204, 400, 401, 404, 405}),
        (b"OPTIONS", b"/v1/sources", {204, 401}),
        (b"TRACE", b"/v1/sources", {405}),
        (b"TRACE", INGEST, {405}),
        (b"CONNECT", b"x:443", {0, 400, 404, 405}),
        (b"CONNECT", b"/v1/sources", {0, 400, 404, 405}),
        (b"BREW", b"/v1/sources", {405}),
        (b"get", b"/v1/sources", {405}),
        (b"X" * 300, b"/v1/sources", {0, 400, 405}),
        (b"G@T", b"/v1/sources", {0, 400, 405}),
        (b"PRI", b"*", {0, 400, 404, 405}),
    ],
)
async def test_odd_methods(gateway: str, method: bytes, target: bytes, statuses: set[int]) -> None:
    found = await heard(gateway, request(method, target, b"X-Secret: hunter2"))

    assert found.status in statuses, found
    assert b"hunter2" not in found.text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\r\n\r\n",
        b"GET /health/live\r\n\r\n",
        b"GET /health/live HTTP/0.9\r\n\r\n",
        b"GET /health/live HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET  /health/live  HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health/live HTTP/1.1\nHost: x\n\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"\x00" * 1_000,
    ],
)
async def test_what_is_no_request(gateway: str, text: bytes) -> None:
    address = urlsplit(gateway)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(text)
    writer.write_eof()
    async with asyncio.timeout(WITHIN_S):
        answer = await reader.read()
    writer.close()

    assert b" 500 " not in answer
    assert answer[:13] in {b"", b"HTTP/1.1 400 ", b"HTTP/1.1 200 "}, answer


async def test_http_one_without_a_host(gateway: str) -> None:
    found = await heard(gateway, b"GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n")

    assert found.status in {200, 400}, found


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/components", "/.well-known/jwks.json", "/v1/sources", "/x"]
)
async def test_head_is_get_without_its_body(gateway: str, path: str) -> None:
    target = path.encode()

    head = await heard(gateway, request(b"HEAD", target))
    get = await heard(gateway, request(b"GET", target))

    assert head.status == get.status
    assert head.body == b""
    assert b"content-type:" in head.head


async def test_head_does_not_break_what_follows_on_its_connection(http: httpx.AsyncClient) -> None:
    for _ in range(3):
        assert (await http.head("/health/live")).status_code == 200
        assert (await http.get("/health/live")).json() == {"status": "ok"}


async def test_requests_one_after_the_other_without_waiting(gateway: str) -> None:
    one = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    login = b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\n" + LENGTH + b"\r\n\r\n" + BODY

    found = await heard(gateway, one + login + one + request(b"GET", b"/nowhere"))

    statuses = [int(answer.split(b" ")[1]) for answer in found.answers]
    assert statuses == [200, 415, 200, 404]


async def test_nothing_that_was_sent_gets_into_the_head_of_an_answer(gateway: str) -> None:
    for target in (
        b"/v1/sources/a%0d%0aX-Injected:%20b",
        b"/v1/auth/%0d%0aSet-Cookie:%20a=b",
        b"/in/%0d%0aX-Injected:%20b",
        b"/v1/sources?cursor=%0d%0aX-Injected:%20b",
    ):
        for method in (b"GET", b"PUT", b"HEAD"):
            odd = b"Origin: https://console.example%0d%0aX-Injected: b"
            found = await heard(gateway, request(method, target, odd))
            assert 400 <= found.status < 500, found
            assert b"\r\nx-injected:" not in found.head
            assert b"set-cookie" not in found.head
