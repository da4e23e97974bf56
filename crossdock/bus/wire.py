"""A raw connection to NATS for publishing alone: what the client library does, minus its cost.

The general client spends more on a header and an acknowledgement than the broker on the message.
Here frames arrive ready from `native/`, acknowledgements leave it as numbers, and nothing in
between is a Python object a message.
"""

import asyncio
import ssl
from typing import Final, Protocol, TypeVar, cast
from urllib.parse import unquote, urlsplit

import msgspec

from crossdock import __version__, native
from crossdock.errors import BrokerUnavailable, ConfigurationError

DEFAULT_PORT: Final = 4222
HANDSHAKE_TIMEOUT_S: Final = 2.0
HIGH_WATER: Final = 256 * 1024
"""Bytes in the transport above which nothing more is written until it has drained."""

_T = TypeVar("_T")

_PING: Final = b"PING\r\n"
_PONG: Final = b"PONG\r\n"


class Address(msgspec.Struct, frozen=True):
    """Where one server is, and how to come in."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None

    @classmethod
    def parse(
        cls, url: str, user: str | None, password: str | None, tls: ssl.SSLContext | None
    ) -> "Address":
        """Return the address of a `nats://` or `tls://` URL; its own user goes first.

        Raises:
            ConfigurationError: it is not such a URL.
        """
        wrong = ConfigurationError("CROSSDOCK_NATS__URL has no address like nats://host:4222.")
        try:
            parts = urlsplit(url)
            port = parts.port or DEFAULT_PORT
        except ValueError as error:
            raise wrong from error
        if parts.scheme not in {"nats", "tls"} or not parts.hostname:
            raise wrong
        return cls(
            host=parts.hostname,
            port=port,
            user=unquote(parts.username) if parts.username else user,
            password=unquote(parts.password) if parts.password else password,
            tls=tls,
        )


class Listener(Protocol):
    """Who is told what the broker says."""

    def acknowledged(self, tokens: list[int]) -> None:
        """Take the tokens of messages that are stored."""

    def answered(self, token: int, status: int, payload: bytes) -> None:
        """Take a reply that is not a plain acknowledgement."""

    def drained(self) -> None:
        """The transport has room again."""

    def lost(self, reason: str) -> None:
        """The connection, once made, is gone; no reply to anything comes any more."""


class _Info(msgspec.Struct):
    max_payload: int = 0
    tls_required: bool = False


class _Connect(msgspec.Struct, kw_only=True):
    user: str | None
    password: str | None = msgspec.field(name="pass")
    tls_required: bool
    name: str = "crossdock publisher"
    lang: str = "python"
    version: str = __version__
    protocol: int = 1
    headers: bool = True
    no_responders: bool = True
    verbose: bool = False
    pedantic: bool = False


class Connection(asyncio.Protocol):
    """One connection; it is made by `dial` and is of no more use once lost."""

    def __init__(self, listener: Listener, inbox: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._listener = listener
        self._inbox = inbox
        self._replies = native.Replies()
        self._transport: asyncio.Transport | None = None
        self._info: asyncio.Future[_Info] = loop.create_future()
        self._ready: asyncio.Future[None] = loop.create_future()
        self._reason = ""
        self.max_payload = 0
        self.is_writable = True
        self.heard = False
        """Whether the broker said anything since this was last set to false."""

    async def handshake(self, address: Address) -> None:
        """Go from the server's greeting to a subscription that takes replies.

        Raises:
            BrokerUnavailable: the server refuses us or is gone.
        """
        info = await self._info
        self.max_payload = info.max_payload
        if address.tls is not None or info.tls_required:
            await self._start_tls(address)
        hello = msgspec.json.encode(
            _Connect(
                user=address.user, password=address.password, tls_required=address.tls is not None
            )
        )
        self.write(b"CONNECT %b\r\nSUB %b* 1\r\nPING\r\n" % (hello, self._inbox))
        await self._ready

    async def _start_tls(self, address: Address) -> None:
        loop = asyncio.get_running_loop()
        transport = self._open_transport()
        context = address.tls or ssl.create_default_context()
        upgraded = await loop.start_tls(transport, self, context, server_hostname=address.host)
        if upgraded is None:  # the transport was closed meanwhile
            raise BrokerUnavailable(self._reason)
        upgraded.set_write_buffer_limits(high=HIGH_WATER)
        self._transport = upgraded

    def write(self, frames: bytes) -> None:
        """Send frames; the loop joins what is written in one turn."""
        self._open_transport().write(frames)

    def ping(self) -> None:
        """Ask the broker to say something."""
        self.write(_PING)

    def abort(self, reason: str) -> None:
        """End the connection now; what is buffered is lost."""
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.abort()

    def _open_transport(self) -> asyncio.Transport:
        if self._transport is None:
            raise BrokerUnavailable(self._reason)
        return self._transport

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are no subclass of it, but do all that it does.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """Hand over acknowledgements at once and all else one by one."""
        self.heard = True
        acknowledged, said = self._replies.feed(data)
        if acknowledged:
            self._listener.acknowledged(acknowledged)
        for kind, token, status, payload in said:
            self._hear(kind, token, status, payload)

    def _hear(self, kind: str, token: int, status: int, payload: bytes) -> None:
        match kind:
            case "MSG":
                self._listener.answered(token, status, payload)
            case "PING":
                self.write(_PONG)
            case "PONG":
                _resolve(self._ready, None)
            case "INFO":
                self._take_info(payload)
            case "-ERR":
                self._reason = payload.decode(errors="replace").strip("' ")
            case _:
                self.abort("it does not speak the NATS protocol")

    def _take_info(self, payload: bytes) -> None:
        try:
            info = msgspec.json.decode(payload, type=_Info)
        except msgspec.DecodeError:
            self.abort("it does not speak the NATS protocol")
        else:
            self.max_payload = info.max_payload
            _resolve(self._info, info)

    def pause_writing(self) -> None:
        """The transport is full."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """The transport has drained."""
        self.is_writable = True
        self._listener.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who waits."""
        self._transport = None
        self._reason = self._reason or str(exc or "the server closed the connection")
        was_made = self._ready.done() and not self._ready.exception()
        for waiting in (self._info, self._ready):
            if not waiting.done():
                waiting.set_exception(BrokerUnavailable(self._reason))
                waiting.exception()  # seen: whoever waits for it may be gone by now
        if was_made:
            self._listener.lost(self._reason)


async def dial(address: Address, listener: Listener, inbox: bytes) -> Connection:
    """Return a connection that is ready to publish.

    Raises:
        BrokerUnavailable: it can't be made.
    """
    loop = asyncio.get_running_loop()
    connection = Connection(listener, inbox)
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
            await loop.create_connection(lambda: connection, address.host, address.port)
            await connection.handshake(address)
    except TimeoutError as error:
        connection.abort("it does not answer")
        raise BrokerUnavailable("it does not answer") from error
    except OSError as error:
        connection.abort(str(error))
        raise BrokerUnavailable(str(error)) from error
    except BaseException:
        connection.abort("it was given up")
        raise
    return connection


def _resolve(future: "asyncio.Future[_T]", value: _T) -> None:
    if not future.done():
        future.set_result(value)
