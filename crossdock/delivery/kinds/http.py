"""A POST to the destination's URL, with whatever it wants to be convinced by."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from crossdock.delivery.client import Client
from crossdock.delivery.destinations.credentials import ClientCredentials, MutualTls
from crossdock.delivery.dispatch.targets import Ready
from crossdock.delivery.exchange import CallFailed, Response
from crossdock.delivery.kinds.certificates import Contexts
from crossdock.delivery.kinds.parcel import NONE, Parcel
from crossdock.delivery.kinds.tokens import Tokens
from crossdock.delivery.model import Cargo

_LEAST_S: Final = 0.05
"""With less time left, a second call is not begun."""


class HttpCarrier:
    """Calls; everything goes through the one guarded client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._now = asyncio.get_running_loop().time
        self._tokens = Tokens(client)
        self._contexts = Contexts()

    def label(
        self, cargo: Cargo, ready: Ready, now: float, extra: Mapping[str, str] = NONE
    ) -> dict[str, str]:
        """Return the destination's headers, the script's, and over them ours with a signature."""
        return ready.headers(cargo, now, extra)

    def carry(
        self, parcel: Parcel, ready: Ready, timeout_s: float
    ) -> Coroutine[None, None, Response]:
        """Post it.

        Raises:
            CallFailed: there was no answer, or nothing to be convinced by.
        """
        return self.send(parcel.headers, parcel.cargo.body, ready, timeout_s)

    def send(
        self, headers: Mapping[str, str], body: bytes, ready: Ready, timeout_s: float
    ) -> Coroutine[None, None, Response]:
        """Post a body that is nobody's delivery; as `carry`.

        No coroutine of its own: most calls need nothing but the client's, and each in between is
        gone through again whenever there is something to read.

        Raises:
            CallFailed: there was no answer, or nothing to be convinced by.
        """
        match ready.auth:
            case ClientCredentials() as auth:
                return self._with_token(headers, body, ready, auth, timeout_s)
            case MutualTls() as auth:
                return self._with_certificate(headers, body, ready, auth, timeout_s)
            case _:
                return self._client.post(ready.url, headers, body, timeout_s)

    async def _with_certificate(
        self,
        headers: Mapping[str, str],
        body: bytes,
        ready: Ready,
        auth: MutualTls,
        timeout_s: float,
    ) -> Response:
        ends = self._now() + timeout_s
        async with _within(timeout_s):
            tls = await self._contexts.get(ready.key, ready.target.version, auth)
        left = max(_LEAST_S, ends - self._now())
        return await self._client.post(ready.url, headers, body, left, tls=tls)

    async def _with_token(
        self,
        headers: Mapping[str, str],
        body: bytes,
        ready: Ready,
        auth: ClientCredentials,
        timeout_s: float,
    ) -> Response:
        """Call with a token, and once more with a new one if the first is not taken."""
        ends = self._now() + timeout_s
        key, version = ready.key, ready.target.version

        async def call(token: str) -> Response:
            bearing = {**headers, "authorization": f"Bearer {token}"}
            left = max(_LEAST_S, ends - self._now())
            return await self._client.post(ready.url, bearing, body, left)

        async with _within(timeout_s):
            token = await self._tokens.get(key, version, auth)
        answer = await call(token)
        left = ends - self._now()
        if answer.status != HTTPStatus.UNAUTHORIZED or left < _LEAST_S:
            return answer
        async with _within(left):
            renewed = await self._tokens.renewed(key, version, auth, token)
        if renewed is None or ends - self._now() < _LEAST_S:
            return answer
        return await call(renewed)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Turn the end of an attempt's time into its failure."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise CallFailed("timeout", "before the destination was called") from error
