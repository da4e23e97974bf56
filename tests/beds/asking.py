"""Both clients under one name, so that a test of one is a test of the other."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from crossdock.client import AsyncClient, Client

Asked = Callable[[Any], Any]


class Asking:
    """Asks through a client that waits, in a thread, or through one that is awaited."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self._client = client

    async def ask(self, call: Asked, token: str | None = None) -> Any:
        """Return what a call comes to, made by a client, or with another token."""
        client = self._client if token is None else self._client.with_token(token)
        if isinstance(self._client, Client):
            return await asyncio.to_thread(call, client)
        found = call(client)
        return await found if inspect.isawaitable(found) else found

    async def all(self, call: Asked) -> list[Any]:
        """Return a whole list."""
        if isinstance(self._client, Client):
            return await asyncio.to_thread(lambda: list(call(self._client)))
        return [item async for item in call(self._client)]


@asynccontextmanager
async def asking(
    way: str, url: str, token: str | None = None, **options: Any
) -> AsyncIterator[Asking]:
    """Open a client that is `waited` for or `awaited`."""
    if way == "waited":
        with Client(url, token, **options) as waiting:
            yield Asking(waiting)
    else:
        async with AsyncClient(url, token, **options) as awaiting:
            yield Asking(awaiting)
