"""The client against servers that misbehave in every way we could think of."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from crossdock.delivery.client import CallFailed, Client, Response
from crossdock.delivery.guard import Guard
from crossdock.delivery.model import BODY_KEPT

BODY = b'{"a": "\xc3\xa4"}\x00\xff'
DEV = Guard(allowed_ports=(), allow_loopback=True)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Speaker = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client that may call this machine."""
    async with Client(DEV, connections=8) as found:
        yield found


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[URL]:
    """Serve HTTP properly."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield URL(f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(speak: Speaker, tls: ssl.SSLContext | None = None) -> AsyncIterator[URL]:
    """Serve whatever bytes a test wants."""

    async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await speak(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(on_connect, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    try:
        yield URL(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook")
    finally:
        server.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request of which the body's length is told."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"ength:" in line)
    return head + await reader.readexactly(length)


def answering(raw: bytes) -> Speaker:
    """Answer every request with these bytes, then close."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(raw)
        await writer.drain()

    return speak


async def call(client: Client, url: URL, timeout_s: float = 5.0) -> Response:
    return await client.post(url, {}, BODY, timeout_s)


async def failure(client: Client, url: URL, timeout_s: float = 5.0) -> str:
    """Return the kind of failure that a call ends in."""
    with pytest.raises(CallFailed) as caught:
        await call(client, url, timeout_s)
    return caught.value.kind


# What is sent


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


# TLS


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_certificate_nobody_vouches_for_is_a_tls_failure(
    client: Client, self_signed: Path
) -> None:
    async with speaking(answering(b""), server_side(self_signed)) as url:
        assert await failure(client, url) == "tls"


async def test_no_tls_where_tls_was_wanted_is_a_tls_failure(client: Client) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with speaking(speak) as url:
        assert await failure(client, url.with_scheme("https")) == "tls"


async def test_a_certificate_that_is_trusted_works(self_signed: Path) -> None:
    trust = ssl.create_default_context(cafile=str(self_signed))
    raw = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
    async with (
        Client(DEV, connections=2, tls=trust) as client,
        speaking(answering(raw), server_side(self_signed)) as url,
    ):
        assert (await call(client, url)).status == 204


# The guard, through everything aiohttp does before it connects


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "[::]",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "127.1",
        "\uff11\uff12\uff17.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[fd00:ec2::254]",
    ],
)
async def test_no_spelling_reaches_this_machine(host: str) -> None:
    hits = []

    async def handler(request: web.Request) -> web.Response:
        hits.append(request)
        return web.Response()

    async with serving(handler) as url, Client(Guard(allowed_ports=()), connections=2) as client:
        target = URL(f"http://{host}:{url.port}/hook")
        with pytest.raises(CallFailed) as caught:
            await call(client, target)
    assert caught.value.kind in {"refused", "connect"}
    assert not hits


async def test_a_name_that_resolves_to_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: whatever a name meant when it was checked, the address decides."""
    async with Client(Guard(), connections=2) as client:
        for address in ("10.1.2.3", "127.0.0.1", "169.254.169.254"):

            async def resolve(host: str, port: int, at: str = address, **_: Any) -> list[Any]:
                return [
                    {
                        "hostname": host,
                        "host": at,
                        "port": port,
                        "family": 2,
                        "proto": 6,
                        "flags": 0,
                    }
                ]

            monkeypatch.setattr(client._connector.resolver, "resolve", resolve)
            client._connector.clear_dns_cache()
            with pytest.raises(CallFailed) as caught:
                await call(client, URL("http://rebind.example/"))
            assert caught.value.kind == "refused"
            assert address not in str(caught.value)


# The pool


async def test_idle_connections_are_bounded_and_reused() -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(0.01)
        return web.Response()

    async with serving(handler) as url, Client(DEV, connections=4) as client:
        await asyncio.gather(*(call(client, url) for _ in range(40)))
        assert 1 <= client._connector.idle <= 4
    async with (
        serving(handler) as one,
        serving(handler) as two,
        serving(handler) as three,
        Client(DEV, connections=2) as client,
    ):
        for _ in range(5):
            await asyncio.gather(*(call(client, url) for url in (one, two)))
            await asyncio.gather(*(call(client, url) for url in (two, three)))
        assert client._connector.idle <= 2
