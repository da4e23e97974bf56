"""The client: whom it trusts, whom it calls, and its pool; for what is said see test_exchange."""

import asyncio
import ssl
from collections.abc import AsyncIterator
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

from crossdock.delivery.client import Client
from crossdock.delivery.exchange import CallFailed
from crossdock.delivery.guard import Guard
from tests.beds.speaking import DEV, answering, call, failure, serving, speaking


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client that may call this machine."""
    async with Client(DEV, connections=8) as found:
        yield found


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
