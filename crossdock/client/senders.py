"""The two ways to send a call: waiting for it, and awaiting it."""

import asyncio
import threading
from typing import TypeVar

import httpx

from crossdock.client.call import Call, Course, checked_token
from crossdock.client.pages import AsyncListing, Listing, Page
from crossdock.client.retries import Retry

T = TypeVar("T")


class Sender:
    """Sends calls and waits for their answers; threads may share it."""

    def __init__(self, http: httpx.Client, token: str | None, retry: Retry) -> None:
        self._http = http
        self._token = checked_token(token)
        self._retry = retry

    def send(self, call: Call[T]) -> T:
        """Return a call's answer, after as many tries as it takes and is allowed."""
        course = Course(call, self._retry)
        request = course.request(self._http, self._token)
        while True:
            try:
                response = self._http.send(request)
            except httpx.RequestError as error:
                wait = course.lost(error)
            else:
                if response.is_success:
                    return course.result(response)
                wait = course.refused(response)
            threading.Event().wait(wait)


class AsyncSender:
    """Sends calls and awaits their answers; tasks may share it."""

    def __init__(self, http: httpx.AsyncClient, token: str | None, retry: Retry) -> None:
        self._http = http
        self._token = checked_token(token)
        self._retry = retry

    async def send(self, call: Call[T]) -> T:
        """Return a call's answer, after as many tries as it takes and is allowed."""
        course = Course(call, self._retry)
        request = course.request(self._http, self._token)
        while True:
            try:
                response = await self._http.send(request)
            except httpx.RequestError as error:
                wait = course.lost(error)
            else:
                if response.is_success:
                    return course.result(response)
                wait = course.refused(response)
            await asyncio.sleep(wait)


class Resource:
    """Calls about one kind of thing."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def _send(self, call: Call[T]) -> T:
        return self._sender.send(call)

    def _list(self, call: Call[Page[T]]) -> Listing[T]:
        return Listing(self._sender.send, call)


class AsyncResource:
    """Calls about one kind of thing."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def _send(self, call: Call[T]) -> T:
        return await self._sender.send(call)

    def _list(self, call: Call[Page[T]]) -> AsyncListing[T]:
        return AsyncListing(self._sender.send, call)
