"""The client: an address, a token, and the resources behind them."""

import platform
from collections.abc import AsyncIterator, Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, Self

import httpx

import crossdock
from crossdock.client import live
from crossdock.client.async_resources import AsyncResources
from crossdock.client.live import LiveEvent
from crossdock.client.resources import Resources
from crossdock.client.retries import Retry
from crossdock.client.senders import AsyncSender, Sender

USER_AGENT: Final = (
    f"crossdock-client/{crossdock.__version__} python/{platform.python_version()}"
    f" httpx/{httpx.__version__}"
)
TIMEOUT_S: Final = 30.0
CONNECT_S: Final = 5.0


class Client(Resources):
    """Calls the API and waits for its answers. Threads may share one."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retry: Retry | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Say where and as whom; nothing is sent yet.

        Args:
            url: where the installation is, as `https://hooks.example.com`.
            token: an API key, or an access token of somebody signed in.
            timeout_s: for each try: how long a connection may be silent, in seconds.
            retry: how often a request that failed in passing is sent again.
            transport: another way to connect, such as `httpx.HTTPTransport(verify=…)`.

        Raises:
            ValueError: the URL is not one of HTTP, or the token has characters that no token has.
        """
        http = httpx.Client(
            base_url=_checked(url),
            headers={"User-Agent": USER_AGENT},
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S)),
            follow_redirects=False,  # the token would go along
            cookies=_no_cookies(),
            transport=transport,
        )
        self._http, self._token, self._retry = http, token, retry or Retry()
        super().__init__(Sender(http, token, self._retry))

    def with_token(self, token: str | None) -> Resources:
        """Return the same calls for somebody else; they end with this client's connections."""
        return Resources(Sender(self._http, token, self._retry))

    def live(
        self,
        *,
        source_id: str | None = None,
        event_type: str | None = None,
        after: str | None = None,
        payload: bool = False,
    ) -> Iterator[LiveEvent]:
        """Yield events as they are stored, for ever; a stream that breaks is gone on with.

        Needs `events:read`.

        Args:
            source_id: only events of this source.
            event_type: only of this type; `*` in it stands for any text.
            after: begin behind this event, `evt_…`, instead of with what comes now.
            payload: have the payload in each event as well.

        Raises:
            ProblemError: the API refuses.
            ConnectionFailed: there is no connection, after as many tries as are allowed.
        """
        wanted = live.wanted(source_id, event_type, payload=payload)
        return live.listen(self._http, self._token, self._retry, wanted, after)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(AsyncResources):
    """Calls the API and awaits its answers. Tasks of one loop may share one."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retry: Retry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Say where and as whom; nothing is sent yet.

        Args:
            url: where the installation is, as `https://hooks.example.com`.
            token: an API key, or an access token of somebody signed in.
            timeout_s: for each try: how long a connection may be silent, in seconds.
            retry: how often a request that failed in passing is sent again.
            transport: another way to connect, such as `httpx.AsyncHTTPTransport(verify=…)`.

        Raises:
            ValueError: the URL is not one of HTTP, or the token has characters that no token has.
        """
        http = httpx.AsyncClient(
            base_url=_checked(url),
            headers={"User-Agent": USER_AGENT},
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S)),
            follow_redirects=False,  # the token would go along
            cookies=_no_cookies(),
            transport=transport,
        )
        self._http, self._token, self._retry = http, token, retry or Retry()
        super().__init__(AsyncSender(http, token, self._retry))

    def with_token(self, token: str | None) -> AsyncResources:
        """Return the same calls for somebody else; they end with this client's connections."""
        return AsyncResources(AsyncSender(self._http, token, self._retry))

    def live(
        self,
        *,
        source_id: str | None = None,
        event_type: str | None = None,
        after: str | None = None,
        payload: bool = False,
    ) -> AsyncIterator[LiveEvent]:
        """Yield events as they are stored, for ever; a stream that breaks is gone on with.

        Needs `events:read`.

        Args:
            source_id: only events of this source.
            event_type: only of this type; `*` in it stands for any text.
            after: begin behind this event, `evt_…`, instead of with what comes now.
            payload: have the payload in each event as well.

        Raises:
            ProblemError: the API refuses.
            ConnectionFailed: there is no connection, after as many tries as are allowed.
        """
        wanted = live.wanted(source_id, event_type, payload=payload)
        return live.alisten(self._http, self._token, self._retry, wanted, after)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _no_cookies() -> CookieJar:
    """Return a jar that keeps nothing: who a request is of, its token says and nothing else."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def _checked(url: str) -> str:
    found = httpx.URL(url)
    if found.scheme not in {"http", "https"} or not found.host:
        raise ValueError(f"{url!r} is no address of HTTP, such as https://hooks.example.com.")
    return url.rstrip("/")
