"""The REST API as a tenant's developer sees it."""

from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from typing import Any, Final, NamedTuple, Self

import aiohttp
import msgspec

LARGE: Final = 1024**2
"""More bytes than this aiohttp wants to read piece by piece."""


class Reply(NamedTuple):
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    """By name, in whatever case."""
    body: bytes

    def json(self) -> Any:
        """Return what its JSON says."""
        return msgspec.json.decode(self.body)

    def ok(self) -> Any:
        """Return what its JSON says, if it is an answer of success."""
        assert 200 <= self.status < 300, self
        return msgspec.json.decode(self.body) if self.body else None


class Rest:
    """One caller of one gateway: with a tenant's key, another one, or none."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=20),
            connector=aiohttp.TCPConnector(limit=16),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Ask, and return whatever is answered."""
        sent = dict(headers or {})
        body = raw
        if data is not None:
            body = msgspec.json.encode(data)
            patch = method == "PATCH"
            sent.setdefault(
                "content-type", "application/merge-patch+json" if patch else "application/json"
            )
        url = path if path.startswith("http") else self.url + path
        large = BytesIO(body) if body and len(body) > LARGE else body
        async with self._session.request(
            method, url, data=large, headers=sent, allow_redirects=False
        ) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def get(self, path: str) -> Any:
        """Return what is there."""
        return (await self.call("GET", path)).ok()

    async def post(self, path: str, data: Any = None) -> Any:
        """Make or do something."""
        return (await self.call("POST", path, data)).ok()

    async def items(self, path: str) -> AsyncIterator[Any]:
        """Go through a list, page by page."""
        joint = "&" if "?" in path else "?"
        cursor = ""
        while True:
            page = await self.get(f"{path}{joint}limit=200{cursor}")
            for item in page["items"]:
                yield item
            if not page["next_cursor"]:
                return
            cursor = f"&cursor={page['next_cursor']}"

    async def all(self, path: str) -> list[Any]:
        """Return a whole list."""
        return [item async for item in self.items(path)]
