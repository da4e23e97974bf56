"""The HTTP client that calls destinations: guarded, bounded, and without surprises.

It follows no redirect, keeps no cookie, takes no proxy or credential from the environment, never
decompresses, and reads at most 64 KiB of an answer. What a destination answered in its status line
counts even if the body after it never ends: it has taken the event, or refused it.
"""

import asyncio
import ssl
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from types import TracebackType
from typing import Final, Self

import aiohttp
from yarl import URL

from crossdock import __version__
from crossdock.delivery.connector import Connector
from crossdock.delivery.exchange import CallFailed, Peer, Response, exchange
from crossdock.delivery.guard import AddressRefused, Guard
from crossdock.delivery.model import FailureKind

USER_AGENT: Final = f"Crossdock/{__version__}"
_PEERS: Final = 4096
"""That are kept ready; another is made in the twentieth of a millisecond."""
_NO_ROUNDING_S: Final = 3600
"""aiohttp rounds timeouts up to whole seconds above a threshold; this one is never reached."""


class Client:
    """Calls destinations. One for a process: it holds the pool of connections."""

    def __init__(
        self, guard: Guard, *, connections: int, tls: ssl.SSLContext | None = None
    ) -> None:
        """Open the pool; needs a running loop.

        Args:
            guard: Decides about every address.
            connections: In use at once; as many more may be idle. See also `more`.
            tls: Other trust than the system's.
        """
        # Kept: asking for the running loop is a system call until Python 3.12.
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self._connector = Connector(guard, connections=connections, tls=tls)
        self._peer = lru_cache(_PEERS)(partial(Peer, loop=self._loop))

    @contextmanager
    def more(self, connections: int) -> Iterator[None]:
        """Let so many more connections be in use at once, for one more who calls."""
        self._connector.widen(connections)
        try:
            yield
        finally:
            self._connector.widen(-connections)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._connector.close()
        await self._connector.resolver.close()

    def post(
        self,
        url: URL,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> Coroutine[None, None, Response]:
        """Post bytes, and return the answer; see `request`."""
        return self.request("POST", url, headers, body, timeout_s, tls=tls)

    async def request(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> Response:
        """Send bytes, and return the answer.

        Args:
            method: One that may be repeated as safely as a delivery.
            url: Where to.
            headers: All that are not of the message's frame.
            body: What is sent.
            timeout_s: For all of it, the end of the answer included.
            tls: Other trust and another certificate than those of all calls. Calls share
                connections only with those that have the same.

        A connection that had been idle may be closed by the other side just as we write to it; then
        nothing was answered and the call is made once more, on a fresh one, within the same time.

        Raises:
            CallFailed: there was no answer; `kind` says why.
        """
        ends = self._now() + timeout_s
        limit = _limit(timeout_s)
        while True:
            is_reused = False
            try:
                peer = self._peer(method, url, tls)
                head = peer.head(headers, len(body))
                connection = await self._connector.connect(peer.request, [], limit)
                is_reused = self._connector.is_reused(connection)
                return await exchange(connection, head, body, ends, self._loop)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                left = ends - self._now()
                if not is_reused or left <= 0:
                    raise _failure(error) from error
                limit = aiohttp.ClientTimeout(connect=left, ceil_threshold=_NO_ROUNDING_S)
            except Exception as error:
                raise _failure(error) from error


@lru_cache(maxsize=256)
def _limit(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=seconds, ceil_threshold=_NO_ROUNDING_S)


def _failure(error: Exception) -> CallFailed:
    """Name what went wrong; the detail is ours or the system's, never the other side's text."""
    if isinstance(error, CallFailed):
        return error
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(
        error.os_error, AddressRefused
    ):
        return CallFailed("refused", "the address is not public")
    if isinstance(error.__cause__, ssl.SSLError):
        # With TLS 1.3 our certificate is judged after the handshake, while we read or write.
        return CallFailed("tls", error.__cause__.reason or type(error.__cause__).__name__)
    for types, kind in _KINDS:
        if isinstance(error, types):
            return CallFailed(kind, _detail(error))
    return CallFailed("odd", type(error).__name__)


def _detail(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name does not resolve"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "")
        return reason or "the certificate is not valid"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or type(error.os_error).__name__
    return "" if isinstance(error, TimeoutError) else type(error).__name__


_KINDS: Final[tuple[tuple[tuple[type[Exception], ...], FailureKind], ...]] = (
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), "refused"),
    ((TimeoutError,), "timeout"),
    ((aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError, ssl.SSLError), "tls"),
    ((aiohttp.ClientConnectorError,), "connect"),
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError), "read"),
    ((aiohttp.ClientPayloadError, OSError), "read"),
)
"""In this order: several of them derive from one another."""
