"""Live events: a stream that goes on where it broke off.

The server may send an event twice around a break, and never leaves one out; repetitions within the
last thousands are left out here.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Final

import httpx
import msgspec
from httpx_sse import EventSource, ServerSentEvent, SSEError

from crossdock.client.call import texts
from crossdock.client.errors import ConnectionFailed, UnexpectedAnswer, refusal
from crossdock.client.retries import Retry, passing, retry_after_s, will_pass

PATH: Final = "/v1/events/stream"
SILENCE_S: Final = 45.0
"""The server says something every 15 seconds; a stream that is silent for longer is broken."""
REMEMBERED: Final = 10_000
LASTED_S: Final = 5.0
"""A stream that lasted so long was a good one: its end counts as the first failure."""


class LiveEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is told live."""

    id: str
    source_id: str
    event_type: str
    provider_id: str | None = None
    content_type: str
    size: int
    status: str = "accepted"
    received_at: datetime
    payload: str | None = None
    """With `payload=True`, where it is UTF-8 text."""
    payload_base64: str | None = None
    """With `payload=True`, where it is not."""


_decoder: Final = msgspec.json.Decoder(LiveEvent)


class _Course:
    """What is wanted, and how far it has come."""

    def __init__(self, wanted: dict[str, str | None], after: str | None, retry: Retry) -> None:
        self._wanted = wanted
        self._after = after
        self._retry = retry
        self._failed = 0
        self._opened_at = time.monotonic()
        self._seen: OrderedDict[str, None] = OrderedDict()

    def request(self, http: httpx.Client | httpx.AsyncClient, token: str | None) -> httpx.Request:
        """Return the request that goes on from here."""
        headers = {"Accept": "text/event-stream, application/problem+json;q=0.5"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        query = texts({**self._wanted, "after": self._after})
        self._opened_at = time.monotonic()
        timeout = httpx.Timeout(SILENCE_S, connect=5.0).as_dict()
        return http.build_request(
            "GET", PATH, params=query, headers=headers, extensions={"timeout": timeout}
        )

    def take(self, told: ServerSentEvent) -> LiveEvent | None:
        """Return an event that is new.

        Raises:
            UnexpectedAnswer: it is no event of this API's.
        """
        self._failed = 0
        if told.event not in {"event", "message"} or not told.data:
            return None
        try:
            found = _decoder.decode(told.data)
        except msgspec.MsgspecError as error:
            raise UnexpectedAnswer(f"{PATH}: {error}") from error
        if told.id:  # of the stream: an old event that was released only now has none of its own
            self._after = told.id
        if found.id in self._seen:
            return None
        self._seen[found.id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return found

    def refused(self, response: httpx.Response) -> float:
        """Return how long to wait before asking again, in seconds.

        Raises:
            ProblemError: it will not pass, or was asked often enough.
        """
        asked = retry_after_s(response)
        self._failed += 1
        wait = self._retry.wait_s(self._failed, asked) if will_pass(response) else None
        if wait is None:
            raise refusal(response, asked)
        return wait

    def broken(self, error: Exception | None) -> float:
        """Return how long to wait before going on, in seconds; without an error, it just ended.

        Raises:
            ConnectionFailed: it broke as often as may be, without a word in between.
        """
        lasted = time.monotonic() - self._opened_at > LASTED_S
        self._failed = 1 if lasted else self._failed + 1
        passes = error is None or (isinstance(error, httpx.RequestError) and passing(error))
        wait = self._retry.wait_s(self._failed, None) if passes else None
        if wait is None:
            words = str(error or "") or "the stream ended"
            raise ConnectionFailed(f"GET {PATH}: {words}") from error
        return wait


def listen(
    http: httpx.Client,
    token: str | None,
    retry: Retry,
    wanted: dict[str, str | None],
    after: str | None,
) -> Iterator[LiveEvent]:
    """Yield events as they come, for ever; see `Client.live`."""
    course = _Course(wanted, after, retry)
    while True:
        failed: Exception | None = None
        try:
            response = http.send(course.request(http, token), stream=True)
            try:
                if not response.is_success:
                    response.read()
                    wait = course.refused(response)
                    threading.Event().wait(wait)
                    continue
                for told in EventSource(response).iter_sse():
                    found = course.take(told)
                    if found is not None:
                        yield found
            finally:
                response.close()
        except SSEError as error:
            raise UnexpectedAnswer(f"{PATH}: {error}") from error
        except httpx.RequestError as error:
            failed = error
        threading.Event().wait(course.broken(failed))


async def alisten(
    http: httpx.AsyncClient,
    token: str | None,
    retry: Retry,
    wanted: dict[str, str | None],
    after: str | None,
) -> AsyncIterator[LiveEvent]:
    """Yield events as they come, for ever; see `AsyncClient.live`."""
    course = _Course(wanted, after, retry)
    while True:
        failed: Exception | None = None
        try:
            response = await http.send(course.request(http, token), stream=True)
            try:
                if not response.is_success:
                    await response.aread()
                    await asyncio.sleep(course.refused(response))
                    continue
                async for told in EventSource(response).aiter_sse():
                    found = course.take(told)
                    if found is not None:
                        yield found
            finally:
                await response.aclose()
        except SSEError as error:
            raise UnexpectedAnswer(f"{PATH}: {error}") from error
        except httpx.RequestError as error:
            failed = error
        await asyncio.sleep(course.broken(failed))


def wanted(
    source_id: str | None, event_type: str | None, *, payload: bool
) -> dict[str, str | None]:
    """Return the query of a stream."""
    return {
        "source_id": source_id,
        "event_type": event_type,
        "include": "payload" if payload else None,
    }
