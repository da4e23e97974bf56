"""Receivers that mean ill, through a whole dispatcher: each is a typed failure, and only its own.

How single calls end is in `test_client`; here it is what the destination's owner reads, and that
the worker, and whoever else it delivers to, goes on.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from yarl import URL

from crossdock.delivery.client import Client
from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.exchange import CallFailed
from tests.beds.carrying import delivered
from tests.beds.certificates import Authority
from tests.beds.delivery import GUARD, DeliveryBed, Receiver, until

Speaker = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ONCE = RetryPolicy(count=0)


@asynccontextmanager
async def speaking(speak: Speaker, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve whatever a speaker says."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await speak(reader, writer)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()


async def ask(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"ength:" in line)
    await reader.readexactly(length)


def dripping(head: bytes, drop: bytes) -> Speaker:
    """Say something, and then a little more, for ever."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ask(reader)
        writer.write(head)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.005)

    return speak


def pouring(head: bytes, drop: bytes) -> Speaker:
    """The same, as fast as it is read."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ask(reader)
        writer.write(head)
        while True:
            writer.write(drop * 4096)
            await writer.drain()

    return speak


def saying(raw: bytes) -> Speaker:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ask(reader)
        writer.write(raw)
        await writer.drain()

    return speak


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
NO_ANSWER: dict[str, tuple[Speaker, str]] = {
    "a status line for ever": (dripping(b"HTTP/1.1 200 ", b"O"), "timeout"),
    "a version for ever": (dripping(b"HTTP/", b"1"), "timeout|odd"),
    "headers for ever": (dripping(OK, b"x: y\r\n"), "timeout"),
    "one header for ever": (dripping(OK + b"x: ", b"y"), "timeout"),
    "silence": (dripping(b"", b""), "timeout"),
    "a flood of headers": (pouring(OK, b"x: y\r\n"), "odd"),
    "a flood of status": (pouring(b"HTTP/1.1 200 ", b"O"), "odd"),
    "interim answers for ever": (pouring(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "odd"),
    "no HTTP": (saying(b"220 smtp.example.com ESMTP\r\n"), "odd"),
    "TLS in the clear": (saying(b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"), "odd|read"),
    "two lengths": (saying(OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab"), "odd"),
    "length and chunks": (
        saying(OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        "odd",
    ),
    "garbage for a chunk": (saying(CHUNKED + b"5\r\nabcde\r\nzz\r\n"), "odd|read"),
    "an upgrade": (saying(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"), "odd"),
    "a hang-up": (saying(b""), "read"),
    "half a status": (saying(b"HTTP/1.1 2"), "read|odd"),
}
ANSWERED: dict[str, Speaker] = {
    "a body for ever": dripping(CHUNKED, b"1\r\nx\r\n"),
    "a gigabyte": pouring(OK + b"content-length: 1073741824\r\n\r\n", b"x"),
    "chunks without end": pouring(CHUNKED, b"1\r\nx\r\n"),
    "a body cut short": saying(OK + b"content-length: 100\r\n\r\nshort"),
}


@pytest.mark.parametrize("name", NO_ANSWER)
async def test_what_is_no_answer_has_a_name(bed: DeliveryBed, name: str) -> None:
    speaker, kinds = NO_ANSWER[name]
    tenant = await bed.tenant()
    async with speaking(speaker) as url:
        await bed.destination(tenant, url, retry=ONCE)
        attempt = await delivered(bed, tenant, state="dead", timeout_s=0.5)
    assert attempt.status is None
    assert attempt.error is not None
    assert attempt.error.partition(":")[0] in kinds.split("|"), attempt.error


@pytest.mark.parametrize("name", ANSWERED)
async def test_a_status_counts_whatever_comes_after_it(bed: DeliveryBed, name: str) -> None:
    tenant = await bed.tenant()
    async with speaking(ANSWERED[name]) as url:
        await bed.destination(tenant, url, retry=ONCE)
        attempt = await delivered(bed, tenant, timeout_s=0.5)
    assert attempt.status == 200
    assert len(attempt.response_body) <= 64 * 1024


async def test_others_go_on_beside_them(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/good"))
    speakers = [speaker for speaker, _ in NO_ANSWER.values()] + list(ANSWERED.values())
    async with bed.dispatching(timeout_s=1.0) as dispatcher:
        for speaker in speakers:
            async with speaking(speaker) as url:
                bad = await bed.destination(tenant, url, retry=ONCE)
                count = len(receiver.seen("/good"))
                await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
                await until(lambda count=count: len(receiver.seen("/good")) > count)  # type: ignore[misc]
                await bed.destinations.delete(tenant, bad.destination.id, None)


@pytest.fixture(scope="module")
def authority() -> Authority:
    """One that nobody trusts."""
    return Authority()


@pytest.mark.parametrize("fault", ["self-signed", "expired", "for another host", "none at all"])
async def test_tls_that_does_not_hold_is_a_tls_failure(
    bed: DeliveryBed, authority: Authority, fault: str
) -> None:
    issued: dict[str, Any] = {"expired": {"days": -1}, "for another host": {"address": "127.0.0.9"}}
    tls = None if fault == "none at all" else authority.server(**issued.get(fault, {}))
    tenant = await bed.tenant()
    body: list[bytes] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body.append(await reader.read(1))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async with speaking(speak, tls) as url:
        await bed.destination(tenant, url.replace("http:", "https:"), retry=ONCE)
        attempt = await delivered(bed, tenant, state="dead")
    assert attempt.error is not None
    assert attempt.error.startswith("tls: ")
    assert fault == "none at all" or not b"".join(body), "nothing was said to it"


@pytest.mark.parametrize(
    ("wish", "least", "most"),
    [
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60, 73),
        ("99999999999999999999", 60, 73),
        ("120", 60, 73),
        ("40", 40, 49),
        ("-5", 8, 13),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 8, 13),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 8, 13),
        ("soon", 8, 13),
        ("1e9", 8, 13),
        ("\xb2\xb3", 8, 13),
        ("9" * 5000, 8, 13),
    ],
    ids=[
        "9999",
        "aeons",
        "above",
        "within",
        "negative",
        "past",
        "99999",
        "word",
        "e",
        "sup",
        "5000",
    ],
)
async def test_a_wish_to_wait_is_held_to_the_schedule(
    bed: DeliveryBed, wish: str, least: float, most: float
) -> None:
    """The schedule's longest wait is a minute; this one's is ten seconds, 20% either way."""
    tenant = await bed.tenant()
    head = b"HTTP/1.1 503 Busy\r\nretry-after: " + wish.encode("latin-1")
    async with speaking(saying(head + b"\r\ncontent-length: 0\r\n\r\n")) as url:
        policy = RetryPolicy(delays_s=(10.0, 60.0))
        await bed.destination(tenant, url, retry=policy)
        before = datetime.now(UTC)
        async with bed.dispatching() as dispatcher:
            await dispatcher.offer(await bed.persist(bed.arrival(tenant)))

            async def is_tried() -> bool:
                return (await bed.all_of(tenant))[0].delivery.attempts == 1

            await until(is_tried)
    delivery = (await bed.all_of(tenant))[0].delivery
    assert (delivery.state, delivery.last_status) == ("pending", 503)
    assert delivery.due_at is not None
    assert least - 1 <= (delivery.due_at - before).total_seconds() <= most + 30


async def test_a_line_break_in_a_header_never_reaches_the_wire() -> None:
    """Beyond what is checked when a destination is saved: the client itself sends none."""
    heard: list[bytes] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))

    async with speaking(speak) as url, Client(GUARD, connections=1) as client:
        for name, value in (("x-a", "b\r\nx-evil: 1"), ("x-a\r\nx-evil", "1"), ("x-a", "b\nc: d")):
            with pytest.raises(CallFailed) as caught:
                await client.post(URL(url), {name: value}, b"{}", 2.0)
            assert caught.value.kind == "odd"
    assert not any(b"evil" in one or b"c: d" in one for one in heard)


async def test_a_name_that_changes_its_mind_between_check_and_connection(
    bed: DeliveryBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved while it meant something public; asked again when it is called, and refused."""
    from crossdock.delivery.connector import Resolver  # noqa: PLC0415
    from crossdock.delivery.guard import Guard  # noqa: PLC0415

    asked: list[str] = []
    hits: list[bytes] = []

    def rebound(host: str, port: int, _: int) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port)), (2, 1, 6, "", ("169.254.169.254", port))]

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hits.append(await reader.read(10))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    monkeypatch.setattr(Resolver, "_ask", staticmethod(rebound))
    strict = Guard(allowed_ports=())
    async with speaking(speak) as url, Client(strict, connections=1) as client:
        target = URL(url).with_host("rebinding.example")
        assert not strict.check_url(str(target)), "its name says nothing against it"
        with pytest.raises(CallFailed) as caught:
            await client.post(target, {}, b"{}", 2.0)
    assert caught.value.kind == "refused"
    assert (asked, hits) == (["rebinding.example"], [])
