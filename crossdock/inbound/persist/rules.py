"""Rules of persisting. Pure: randomness is passed in."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final
from uuid import UUID

import msgspec

from crossdock.db.uuids import uuid_of
from crossdock.inbound.persist.model import (
    Arrival,
    Duplicate,
    Outcome,
    Planned,
    Poison,
    Redelivered,
    Wanted,
)

_HALF: Final = 8
"""Bytes of half an id. The upper one is its time; a delivery's is its event's."""

_VARIANTS: Final = bytes(byte & 0x3F | 0x80 for byte in range(256))


class Sorted(msgspec.Struct, frozen=True):
    """A batch without its repetitions, in the one order in which everybody takes locks."""

    firsts: list[int]
    """Positions in the batch of what is worth asking the database about."""
    echoes: dict[int, int]
    """Positions of repetitions, each with that of the first of its kind."""


def sort(batch: Sequence[Arrival]) -> Sorted:
    """Sort a batch by key; of several with one key, or one id, the first that arrived wins."""
    firsts: list[int] = []
    echoes: dict[int, int] = {}
    by_id: dict[bytes, int] = {}
    by_key: dict[bytes, int] = {}
    for at, arrival in enumerate(batch):
        message = arrival.message
        first = by_id.setdefault(message.tenant_id + message.event_id, at)
        if first == at:
            first = by_key.setdefault(arrival.key, at)
        if first == at:
            firsts.append(at)
        else:
            echoes[at] = first
    firsts.sort(key=lambda at: batch[at].key)
    return Sorted(firsts, echoes)


def echo(arrival: Arrival, first: Arrival, outcome: Outcome) -> Outcome:
    """Return what becomes of a repetition inside one batch, given what became of the first."""
    if isinstance(outcome, Poison):
        return outcome
    if arrival.event_id == first.event_id:
        return outcome if isinstance(outcome, Duplicate) else Redelivered(first.event_id)
    original = outcome.original if isinstance(outcome, Duplicate) else first.event_id
    if original == arrival.event_id:  # the first of its kind was a duplicate of this very event
        return Redelivered(original)
    return Duplicate(arrival.event_id, original)


def plan(
    wanted: Iterable[tuple[Arrival, Sequence[Wanted]]],
    random: Callable[[int], bytes],
    room: Callable[[tuple[UUID, UUID]], int] | None = None,
) -> list[Planned]:
    """Return the deliveries of events: one for each destination that wants it.

    A delivery's id shares the upper half of its event's: both are in partitions of the same time,
    and the primary key finds the one by the other.

    Args:
        wanted: what is, or may be, new, and who wants it.
        random: returns so many random bytes.
        room: returns how many deliveries to a tenant's destination this process can take over;
            `None` for all there are.
    """
    left: dict[tuple[UUID, UUID], int] = {}

    def is_leased(arrival: Arrival, one: Wanted) -> bool:
        if not one.route.is_open or one.line is not None:
            return False
        if room is None:
            return True
        key = arrival.tenant_id, one.route.destination_id
        free = left[key] if key in left else room(key)
        left[key] = free - 1
        return free > 0

    pairs = [(arrival, one) for arrival, found in wanted for one in found]
    chance = lower_halves(random(_HALF * len(pairs)))
    return [
        Planned(
            uuid_of(arrival.message.event_id[:_HALF] + chance[at : at + _HALF]),
            arrival,
            one.route.destination_id,
            one.route.is_open,
            is_leased(arrival, one),
            one.line,
        )
        for at, (arrival, one) in zip(range(0, len(chance), _HALF), pairs, strict=True)
    ]


def due(planned: Iterable[Planned]) -> set[tuple[UUID, UUID]]:
    """Return the tenants' destinations in which something is due that nobody has leased."""
    return {
        (one.arrival.tenant_id, one.destination_id)
        for one in planned
        if one.is_open and one.line is None and not one.is_leased
    }


def lower_halves(chance: bytes) -> bytes:
    """Return random bytes as lower halves of UUIDs: each begins with the variant (RFC 9562)."""
    halves = bytearray(chance)
    halves[::_HALF] = halves[::_HALF].translate(_VARIANTS)
    return bytes(halves)
