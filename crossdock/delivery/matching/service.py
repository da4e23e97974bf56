"""Judges stored events."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from crossdock.delivery import rules
from crossdock.delivery.destinations.model import Destination
from crossdock.delivery.matching import store
from crossdock.delivery.matching.model import Occurrence
from crossdock.inbound.model import Event
from crossdock.routing import Judged, Subject, judge_many
from crossdock.secrets.payloads import KeyReader, PayloadShredded, open_payload
from crossdock.secrets.seal import SealBroken

BATCH_BYTES: Final = 4 * 1024 * 1024
"""Bodies held at once, unless one is larger by itself."""


async def judge_stored(
    conn: Any,
    keys: KeyReader | None,
    tenant_id: UUID,
    occurrences: Sequence[Occurrence],
    destinations: Sequence[Destination],
) -> list[list[Judged]]:
    """Say of each event and each destination whether it is wanted, as both are now.

    Args:
        conn: inside the tenant.
        keys: opens what is sealed. Without it, or where a key was destroyed, whatever looks into
            the payload fails, and the event is not wanted there.
        tenant_id: whose.
        occurrences: the events.
        destinations: of any state: whether they are enabled is the caller's business.
    """
    judged: list[list[Judged]] = []
    left = list(occurrences)
    while left:
        group, read = _group(left, destinations)
        del left[: len(group)]
        found = await store.bodies(conn, tenant_id, read) if read else {}
        subjects = [
            _subject(one, await _opened(keys, tenant_id, one, found.pop(one.id, None)))
            for one in group
        ]
        judged += await asyncio.to_thread(judge_many, subjects, destinations)
    return judged


def _group(
    left: Sequence[Occurrence], destinations: Sequence[Destination]
) -> tuple[list[Occurrence], list[UUID]]:
    """Return the next events to be judged together, and those whose bodies are read for it."""
    looking = [one for one in destinations if one.filter is not None or one.order is not None]
    group: list[Occurrence] = []
    read: list[UUID] = []
    room = BATCH_BYTES
    for one in left:
        if any(rules.matches(other, one.source_id, one.event_type) for other in looking):
            if read and one.size > room:
                break
            read.append(one.id)
            room -= one.size
        group.append(one)
    return group, read


async def _opened(
    keys: KeyReader | None, tenant_id: UUID, one: Occurrence, body: bytes | None
) -> bytes | None:
    """Return an event's plain body; `None` where it wasn't read, or can't be by anybody."""
    if body is None or one.data_key is None:
        return body
    if keys is None:
        return None
    try:
        return open_payload(await keys.get(tenant_id, one.data_key), tenant_id, one.id, body)
    except (PayloadShredded, SealBroken):
        return None


def _subject(one: Occurrence, body: bytes | None) -> Subject:
    return Subject(
        event_id=one.id,
        source_id=one.source_id,
        event_type=one.event_type,
        content_type=one.content_type,
        provider_id=one.provider_id,
        headers=one.headers,
        body=body,
    )


def subject_of(event: Event) -> Subject:
    """Return an event that was read with its plain body as filters see it."""
    return Subject(
        event_id=event.id,
        source_id=event.source_id,
        event_type=event.event_type,
        content_type=event.content_type,
        provider_id=event.provider_id,
        headers=event.headers,
        body=event.body,
    )
