"""Receivers that lie, stall, swell or hide: each a clear failure, and never an address of ours."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from tests.acceptance.house import House
from tests.acceptance.outbound.lanes import beside, delivered, lane, state_of
from tests.acceptance.outbound.servers import Authority, secure, talking
from tests.faults.receiver import Temper

ONCE = {"count": 0}
LOCATION = {"location": "http://169.254.169.254/"}
INSIDE = [
    "http://10.1.2.3/",
    "http://169.254.169.254/latest/meta-data",
    "http://[fd00::1]/",
    "http://[fe80::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::a00:1]/",
    "http://[2002:a00:1::]/",
    "http://[::10.0.0.1]/",
    "http://167772161/",
    "http://0x0a000001/",
    "http://012.0.0.1/",
    "http://10.1/",
    "http://0xa9.0xfe.0xa9.0xfe/",
    "http://2852039166/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://100.64.0.1/",
    "http://192.168.0.1./",
    "http://\uff11\uff10.0.0.1/",
    "http://10。0。0。1/",
    "http://①⓪.0.0.1/",
    "http://user:pw@10.0.0.1/",
    "http://10.0.0.1%2f@example.com/",
    "http://metadata.google.internal/",
]


@pytest.mark.parametrize("url", INSIDE)
async def test_no_spelling_leads_inside(house: House, url: str) -> None:
    feed = await lane(house)
    wish = {"name": url, "url": url, "source_ids": [feed.id], "retry": ONCE}
    reply = await house.rest.call("POST", "/v1/destinations", wish)
    if reply.status == 201:
        # A name: it is looked up, and refused, when it is called.
        made = reply.json()
        sent = await feed.send("a.b")
        await feed.arrived(sent)
        feed.destination["id"] = made["id"]
        delivery = await state_of(feed, sent.id, "dead")
        assert delivery["last_status"] is None
        assert delivery["attempts"][0]["status"] is None
        return
    assert reply.status in {400, 422}, reply


def redirecting(code: int) -> Temper:
    """Answer with a redirect inside."""
    return lambda _event, _earlier: (code, LOCATION)


async def test_a_redirect_inside_is_not_followed(house: House) -> None:
    feed = await lane(house, retry=ONCE)
    for code in (301, 302, 303, 307, 308):
        house.receiver.answer(feed.path, redirecting(code))
        delivery = await state_of(feed, (await feed.send("a.b")).id, "dead")
        assert delivery["last_status"] == code
    assert {arrival.path for arrival in feed.came()} == {feed.path}


async def test_an_endless_answer_costs_no_memory(house: House) -> None:
    async def gigabyte(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
        for _number in range(1024):
            writer.write(b"x" * 1024 * 1024)
            await writer.drain()

    before = psutil.Process(house.stack.worker.pid).memory_info().rss
    async with talking(gigabyte) as url:
        feed = await lane(house, url=url, retry=ONCE)
        delivery = await delivered(feed, await feed.send("a.b"), within=30)
        (attempt,) = delivery["attempts"]
        assert attempt["status"] == 200
        assert len(attempt["response_body"]) <= 64 * 1024
    grown = psutil.Process(house.stack.worker.pid).memory_info().rss - before
    assert grown < 128 * 1024**2


@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\nnot a chunk\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\nhello",
        b"HTTP/9.9 999 ??\r\n\r\n",
        b"HTTP/1.1 99999 Many\r\n\r\n",
        b"HTTP/1.1 -1 Minus\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"\x00" * 4096,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000_000,
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"",
    ],
    ids=lambda words: repr(words[9:40]),
)
async def test_garbage_is_that_deliverys_failure_and_nobody_elses(
    house: House, words: bytes
) -> None:
    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await writer.drain()

    async with talking(say) as url:
        feed = await lane(house, url=url, retry=ONCE, timeout_s=2)
        well = await beside(feed, url=f"{house.receiver.url}/well-{feed.id}")
        sent = await feed.send("a.b")
        delivery = await state_of(feed, sent.id, "dead", "delivered")
        assert delivery["state"] == "dead" or delivery["last_status"] == 200
        await delivered(well, sent)


async def test_an_answer_that_drips_for_ever_is_cut(house: House) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 10_000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.3)

    async with talking(drip) as url:
        feed = await lane(house, url=url, retry=ONCE, timeout_s=1)
        delivery = await state_of(feed, (await feed.send("a.b")).id, "dead")
        assert delivery["attempts"][0]["duration_ms"] < 5000


@pytest.mark.parametrize("wrong", ["expired", "self-signed", "plain"])
async def test_a_certificate_that_is_wrong_is_told(
    house: House, tmp_path: Path, wrong: str
) -> None:
    authority = Authority()
    if wrong == "plain":
        url = house.receiver.url.replace("http:", "https:") + "/tls"
        feed = await lane(house, url=url, retry=ONCE)
        delivery = await state_of(feed, (await feed.send("a.b")).id, "dead")
    else:
        ends = timedelta(hours=-1) if wrong == "expired" else timedelta(days=1)
        pair = authority.issue("a server", ends=ends)
        client = authority.issue("us")
        trusting = {
            "auth": {
                "type": "mtls",
                "certificate": client.certificate,
                "private_key": client.key,
                "ca": authority.pem,
            }
        }
        async with secure(tmp_path, pair) as (url, seen):
            options = trusting if wrong == "expired" else {}
            feed = await lane(house, url=url, retry=ONCE, **options)
            delivery = await state_of(feed, (await feed.send("a.b")).id, "dead")
            assert seen == []
    assert "tls" in delivery["last_error"].lower(), delivery["last_error"]
    assert isinstance(ssl.OPENSSL_VERSION, str)
