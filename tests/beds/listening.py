"""Someone who listens to live events, over a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
from httpx_sse import ServerSentEvent, aconnect_sse

from tests.faults.waiting import until

PATH = "/v1/events/stream"


class RefusedError(OSError):
    """There is no listening at the moment: `tests.faults.waiting` tries again."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response.text)
        self.response = response


class Ear:
    """What was heard on one stream so far."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.heard: list[ServerSentEvent] = []
        self.is_over = False

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events, in the order in which they came."""
        return [msgspec.json.decode(one.data) for one in self.heard if one.event == "event"]

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [one["id"] for one in self.events]

    @property
    def kinds(self) -> list[str]:
        """What else was said, by its name."""
        return [one.event for one in self.heard if one.event != "event" and one.data]

    async def hears(self, *wanted: str, within: float = 30) -> None:
        """Wait until these events were heard."""
        await until(
            lambda: set(wanted) <= set(self.ids),
            lambda: f"{wanted} among {self.ids} and {self.kinds}",
            within=within,
        )

    async def ends(self, within: float = 30) -> None:
        """Wait until the stream is over."""
        await until(lambda: self.is_over, lambda: f"an end after {self.kinds}", within=within)


@asynccontextmanager
async def listening(
    http: httpx.AsyncClient, *, last: str | None = None, **query: str
) -> AsyncIterator[Ear]:
    """Listen; give what is heard once the stream has begun."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with aconnect_sse(http, "GET", PATH, params=query, headers=headers) as source:
        if source.response.status_code != 200:
            await source.response.aread()
            raise RefusedError(source.response)
        ear = Ear(source.response)

        async def hear() -> None:
            try:
                async for one in source.aiter_sse():
                    ear.heard.append(one)
            finally:
                ear.is_over = True

        task = asyncio.create_task(hear())
        try:
            yield ear
        finally:
            task.cancel()
            await asyncio.wait({task})
