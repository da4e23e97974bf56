"""Events out of PostgreSQL, for those who missed them on the feed."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final
from uuid import UUID

from crossdock.inbound.events.service import Events
from crossdock.inbound.model import EventSummary
from crossdock.inbound.stream.model import Item

PAGE: Final = 200
MOST_BYTES: Final = 4 * 1024 * 1024
"""Of payloads that are read at once; a larger one comes alone."""


async def pages(
    events: Events, tenant_id: UUID, after: UUID, source_id: UUID | None = None
) -> AsyncIterator[list[EventSummary]]:
    """Yield a tenant's events above an id, oldest first, until none is left.

    Raises:
        DatabaseUnavailable: its shard is away.
    """
    while True:
        page = await events.since(tenant_id, after, PAGE, source_id)
        if page:
            yield page
        if len(page) < PAGE:
            return
        after = page[-1].id


async def items(
    events: Events, tenant_id: UUID, found: Sequence[EventSummary], *, payloads: bool
) -> AsyncIterator[list[Item]]:
    """Yield events with their payloads, some at a time; all at once, where nobody wants payloads.

    Raises:
        DatabaseUnavailable: the shard is away.
    """
    if not payloads:
        yield [Item(one, None) for one in found]
        return
    for part in _in_parts(found):
        opened = await events.bodies(tenant_id, [one.id for one in part])
        yield [Item(one, opened.get(one.id)) for one in part]


def _in_parts(found: Sequence[EventSummary]) -> Iterator[list[EventSummary]]:
    part: list[EventSummary] = []
    size = 0
    for one in found:
        if part and size + one.size > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(one)
        size += one.size
    if part:
        yield part
