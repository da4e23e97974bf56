"""Servers that a destination may meet: of tokens, behind certificates, and of bad manners."""

import asyncio
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Pair(NamedTuple):
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


class Authority:
    """A CA of a test's own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("a test's authority")
        now = datetime.now(UTC)
        self._certificate = (
            _builder(self._name, self._name, self._key.public_key(), now, now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """Its own certificate."""
        return _pem(self._certificate)

    def issue(self, name: str, *, ends: timedelta = timedelta(days=1)) -> Pair:
        """Issue a certificate for this machine's address."""
        key = ec.generate_private_key(ec.SECP256R1())
        end = datetime.now(UTC) + ends
        made = (
            _builder(_name(name), self._name, key.public_key(), end - timedelta(days=2), end)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return Pair(_pem(made), private.decode())


class Seen(NamedTuple):
    """A request to a server behind TLS."""

    peer: str | None
    """The common name of the client's certificate."""
    headers: dict[str, str]


@asynccontextmanager
async def secure(
    folder: Path, pair: Pair, *, clients: Authority | None = None
) -> AsyncIterator[tuple[str, list[Seen]]]:
    """Serve HTTPS; with `clients`, only to those whose certificate is of that authority."""
    seen: list[Seen] = []

    async def take(request: web.Request) -> web.Response:
        await request.read()
        assert request.transport is not None
        peer = request.transport.get_extra_info("peercert") or {}
        names = {key: value for part in peer.get("subject", ()) for key, value in part}
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen.append(Seen(names.get("commonName"), headers))
        return web.Response(status=204)

    certificate, key = folder / "server.pem", folder / "server.key"
    certificate.write_text(pair.certificate)
    key.write_text(pair.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    if clients is not None:
        context.load_verify_locations(cadata=clients.pem)
        context.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}/secure", seen
    await runner.cleanup()


class Tokens:
    """A token server (RFC 6749, 4.4) that counts, and forgets tokens when told."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        """Each request: what its form says, and `user` and `password` of its header."""
        self.lives_s = 3600
        self.status = 200
        self.url = ""

    @property
    def newest(self) -> str:
        """The token that is good."""
        return f"token-{len(self.asked)}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen."""
        app = web.Application()
        app.router.add_post("/token", self._token)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
        yield
        await runner.cleanup()

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: values[0] for name, values in parse_qs(await request.text()).items()}
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            form["user"], _, form["password"] = b64decode(text).decode().partition(":")
        self.asked.append(form)
        if self.status != 200:
            return web.json_response({"error": "invalid_client"}, status=self.status)
        return web.json_response(
            {"access_token": self.newest, "token_type": "Bearer", "expires_in": self.lives_s}
        )


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[str]:
    """Listen, and let a function say whatever it likes to whoever comes."""
    tasks: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await reader.readuntil(b"\r\n\r\n")
                await talk(reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/odd"
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begins: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins - timedelta(days=1))
        .not_valid_after(ends)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
