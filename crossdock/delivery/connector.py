"""Connections to destinations: resolved aside, checked by the guard, and never too many of them."""

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from aiohttp.streams import StreamReader

from crossdock.delivery.guard import Guard

KEEP_ALIVE_S: Final = 4.0
"""Less than the five seconds after which common servers close an idle connection on us."""
_DNS_TTL_S: Final = 10
_RESOLVER_THREADS: Final = 32
MOST_INTERIM: Final = 32
"""Interim answers to one call; a server that means them sends one or two."""


class Resolver(AbstractResolver):
    """Asks the system, on threads of its own.

    The loop's own way shares a few threads with everything else (uvloop: four, of which two for
    names); a tenant whose name servers are slow would stop all the others.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, "resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name; those with a zone are of no use to us."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._ask, host, port, family
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(sockaddr[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, proto, _, sockaddr in found
            if "%" not in str(sockaddr[0])
        ]

    @staticmethod
    def _ask(host: str, port: int, family: int) -> list[Any]:
        return socket.getaddrinfo(
            host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )

    async def close(self) -> None:
        """Forget the questions that wait; one that is asked ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Protocol(ResponseHandler):
    """A connection that knows whether it was used before, and when a call on it is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.calls = 0
        """That were begun on it."""

    def begin(self) -> None:
        """Get ready to hear an answer."""
        self.calls += 1
        self.set_response_params(read_until_eof=True, auto_decompress=False)

    async def answer(self) -> tuple[RawResponseMessage, StreamReader]:
        """Return the answer that counts, and its body: that is none of the interim ones (1xx).

        A destination that sends nothing else, as fast as it can, would have the loop to itself
        until the call's time is over.

        Raises:
            HttpProcessingError: too many were no answer.
        """
        message, content = await self.read()
        for _ in range(MOST_INTERIM):
            if message.code >= HTTPStatus.OK or message.code == HTTPStatus.SWITCHING_PROTOCOLS:
                return message, content
            message, content = await self.read()
        raise HttpProcessingError(code=message.code, message="too many interim answers")

    def expire(self) -> None:
        """Say to whoever reads that the call's time is over."""
        error = TimeoutError()
        self.set_exception(error)
        if self._payload is not None:
            self._payload.set_exception(error)


class Connector(aiohttp.TCPConnector):
    """A pool that bounds idle connections too: aiohttp's `limit` counts only those in use."""

    def __init__(self, guard: Guard, *, connections: int, tls: ssl.SSLContext | None) -> None:
        self.resolver = Resolver()
        super().__init__(
            limit=connections,
            limit_per_host=0,
            keepalive_timeout=KEEP_ALIVE_S,
            ttl_dns_cache=_DNS_TTL_S,
            resolver=self.resolver,
            socket_factory=guard.open_socket,
            ssl=tls or True,
        )
        self._factory = cast("partial[ResponseHandler]", partial(Protocol, loop=self._loop))
        self._most_idle = connections

    def widen(self, connections: int) -> None:
        """Let so many more be in use at once, and as many more idle."""
        self._limit += connections
        self._most_idle += connections

    @property
    def idle(self) -> int:
        """Connections that wait for their next use."""
        return sum(map(len, self._conns.values()))

    @staticmethod
    def is_reused(connection: Connection) -> bool:
        """Tell whether a connection that was got just now had been used before."""
        return cast("Protocol", connection.protocol).calls > 0

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        is_full = self.idle >= self._most_idle
        super()._release(key, protocol, should_close=should_close or is_full)
