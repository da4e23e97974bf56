"""Somebody who listens to a tenant's events, with a reader of SSE that is not ours."""

import asyncio
import contextlib
from typing import Any, Final, Self

import httpx
import msgspec
from httpx_sse import ServerSentEvent, SSEError, aconnect_sse

from tests.faults.waiting import until

STREAM: Final = "/v1/events/stream"


class Listener:
    """An open stream; what was heard is kept."""

    def __init__(
        self, url: str, key: str, query: dict[str, str] | None = None, last: str | None = None
    ) -> None:
        headers = {"authorization": f"Bearer {key}"}
        if last is not None:
            headers["last-event-id"] = last
        self._query = query or {}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=30)
        self._reading: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()
        self.answer: httpx.Response | None = None
        self.heard: list[ServerSentEvent] = []
        self.ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._reading = asyncio.create_task(self._read())
        async with asyncio.timeout(10):
            await self._opened.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reading is not None
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        await self._client.aclose()

    @property
    def ids(self) -> list[str]:
        """The ids of the events that were heard, in their order.

        A frame's own id is where to go on from, which a released event is not: it may be old.
        """
        return [_id(frame) for frame in self.heard if frame.event == "event"]

    def told(self, event_id: str) -> Any:
        """Return what the stream said of an event that was heard."""
        frames = (frame for frame in self.heard if frame.event == "event")
        return msgspec.json.decode(next(one.data for one in frames if _id(one) == event_id))

    async def hears(self, event_id: str, *, within: float = 15) -> Any:
        """Return what the stream says of an event, waiting for it."""
        await until(
            lambda: event_id in self.ids,
            lambda: f"{event_id} on the stream: {self.ids}",
            within=within,
        )
        return self.told(event_id)

    async def _read(self) -> None:
        try:
            async with aconnect_sse(self._client, "GET", STREAM, params=self._query) as source:
                self.answer = source.response
                self._opened.set()
                if source.response.status_code != httpx.codes.OK:
                    return
                async for frame in source.aiter_sse():
                    if frame.data:  # a browser is not told of frames without, such as `retry:`
                        self.heard.append(frame)
        except (httpx.HTTPError, SSEError):
            pass
        finally:
            self._opened.set()
            self.ended.set()


def _id(frame: ServerSentEvent) -> str:
    told: str = msgspec.json.decode(frame.data)["id"]
    return told
