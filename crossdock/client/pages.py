"""Lists: one item after the other, pages fetched as they are reached."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from crossdock.client.call import Call
from crossdock.client.errors import UnexpectedAnswer

Item = TypeVar("Item")


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """A part of a list."""

    items: list[Item]
    next_cursor: str | None = None
    """Where the next one begins; `None` where this was the last."""


class Listing(Generic[Item]):
    """A list, newest first; each page is asked for when iterating comes to it."""

    def __init__(
        self, send: Callable[[Call[Page[Item]]], Page[Item]], first: Call[Page[Item]]
    ) -> None:
        self._send = send
        self._first = first

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[Page[Item]]:
        """Iterate over whole pages, of `limit` items each."""
        call: Call[Page[Item]] | None = self._first
        while call is not None:
            page = self._send(call)
            yield page
            call = _after(call, page)


class AsyncListing(Generic[Item]):
    """A list, newest first; each page is asked for when iterating comes to it."""

    def __init__(
        self, send: Callable[[Call[Page[Item]]], Awaitable[Page[Item]]], first: Call[Page[Item]]
    ) -> None:
        self._send = send
        self._first = first

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncIterator[Page[Item]]:
        """Iterate over whole pages, of `limit` items each."""
        call: Call[Page[Item]] | None = self._first
        while call is not None:
            page = await self._send(call)
            yield page
            call = _after(call, page)


def _after(call: Call[Page[Item]], page: Page[Item]) -> Call[Page[Item]] | None:
    """Return the call for the page after `page`.

    Raises:
        UnexpectedAnswer: the page leads back to itself, and so would never end.
    """
    if page.next_cursor is None:
        return None
    if page.next_cursor == call.query.get("cursor"):
        raise UnexpectedAnswer(f"{call.path} gave the same page again.")
    return msgspec.structs.replace(call, query={**call.query, "cursor": page.next_cursor})
