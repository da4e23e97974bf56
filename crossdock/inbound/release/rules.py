"""Rules of releasing. Pure: randomness is passed in."""

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from crossdock.db.uuids import uuid_of
from crossdock.delivery.rules import matches
from crossdock.inbound.cloud_events import Announced
from crossdock.inbound.persist.model import Route
from crossdock.inbound.persist.rules import lower_halves
from crossdock.inbound.release.model import Held, Parcel

_HALF: Final = 8
"""Bytes of half an id; see `crossdock.inbound.persist.rules.plan`."""


def fitting(held: Sequence[Held], most_bytes: int) -> list[UUID]:
    """Return the first events whose bodies take no more than that together; one at least."""
    chosen: list[UUID] = []
    left = most_bytes
    for one in held:
        left -= one.size
        if chosen and left < 0:
            break
        chosen.append(one.id)
    return chosen


def plan(
    parcels: Sequence[Parcel], routes: Sequence[Route], random: Callable[[int], bytes]
) -> list[tuple[UUID, UUID, UUID]]:
    """Return deliveries, as their id, event and destination: what persisting would have made.

    Args:
        parcels: events of one tenant.
        routes: its destinations.
        random: returns so many random bytes.
    """
    wanted = [
        (parcel.event_id, route.destination_id)
        for parcel in parcels
        for route in routes
        if route.takes_all or matches(route, parcel.source_id, parcel.event_type)
    ]
    chance = lower_halves(random(_HALF * len(wanted)))
    return [
        (uuid_of(event_id.bytes[:_HALF] + chance[at * _HALF :][:_HALF]), event_id, destination_id)
        for at, (event_id, destination_id) in enumerate(wanted)
    ]


def announced(parcel: Parcel) -> Announced:
    """Return what is announced of an event that was released."""
    return Announced(
        tenant_id=parcel.tenant_id,
        source_id=parcel.source_id,
        event_id=parcel.event_id,
        stream_seq=parcel.stream_seq,
        event_type=parcel.event_type,
        content_type=parcel.content_type,
        traceparent=parcel.traceparent,
        body=parcel.body,
        provider_id=parcel.provider_id,
        status=parcel.status,
        schema_version=parcel.schema_version or 0,
    )
