"""Rules of releasing. Pure: randomness is passed in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from crossdock.db.schema import decode_headers
from crossdock.db.uuids import uuid_of
from crossdock.inbound.cloud_events import Announced
from crossdock.inbound.persist.matching import Given, Routed, opened
from crossdock.inbound.persist.model import Wanted
from crossdock.inbound.persist.rules import lower_halves
from crossdock.inbound.release.model import Going, Held, Parcel
from crossdock.secrets.payloads import DataKey

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


def match(
    parcels: Sequence[Parcel], routed: Routed, keys: Mapping[UUID, DataKey]
) -> tuple[list[list[Wanted]], int]:
    """Return who wants each of a tenant's events, and how many filters could not be judged.

    To be called in a thread where the tenant has filters.

    Args:
        parcels: the events.
        routed: the tenant's destinations.
        keys: those that open sealed bodies, by their ids.
    """
    found: list[list[Wanted]] = []
    errors = 0
    for one in parcels:
        wanted, wrong = routed.matching(
            Given(
                one.event_id.bytes,
                one.source_id.bytes,
                one.event_type,
                one.content_type,
                one.provider_id,
                decode_headers(one.headers),
                _plain(one, keys),
            )
        )
        found.append(wanted)
        errors += wrong
    return found, errors


def _plain(parcel: Parcel, keys: Mapping[UUID, DataKey]) -> bytes | None:
    """Return a body as filters see it; `None` for one that does not open."""
    if parcel.data_key is None or parcel.kept is None:
        return parcel.kept
    key = keys.get(parcel.data_key)
    return opened(key, parcel.tenant_id, parcel.event_id, parcel.kept)


def plan(
    parcels: Sequence[Parcel], wanted: Sequence[Sequence[Wanted]], random: Callable[[int], bytes]
) -> list[Going]:
    """Return the deliveries that persisting would have made of events.

    Args:
        parcels: the events.
        wanted: who wants each of them.
        random: returns so many random bytes.
    """
    pairs = [(parcel, one) for parcel, found in zip(parcels, wanted, strict=True) for one in found]
    chance = lower_halves(random(_HALF * len(pairs)))
    return [
        Going(
            uuid_of(parcel.event_id.bytes[:_HALF] + chance[at * _HALF :][:_HALF]),
            parcel.event_id,
            one.route.destination_id,
            one.line,
            None if one.line is None else parcel.stream_seq,
        )
        for at, (parcel, one) in enumerate(pairs)
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
