"""Rules of persisting. Pure: randomness is passed in."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec

from crossdock.db.uuids import uuid_of
from crossdock.delivery.rules import matches
from crossdock.inbound.persist.model import (
    Arrival,
    Duplicate,
    Outcome,
    Planned,
    Poison,
    Redelivered,
    Route,
)

_TIME_BYTES: Final = 8
"""Of a UUIDv7: milliseconds, version, and the bits that tell ids of one millisecond apart."""
_VARIANT: Final = 0x80
_BELOW_VARIANT: Final = 0x3F


class Sorted(msgspec.Struct, frozen=True):
    """A batch without its repetitions, in the one order in which everybody takes locks."""

    firsts: list[int]
    """Positions in the batch of what is worth asking the database about."""
    echoes: dict[int, int]
    """Positions of repetitions, each with that of the first of its kind."""


def sort(batch: Sequence[Arrival]) -> Sorted:
    """Sort a batch by ledger key; of several with one key or one id, the first arrived wins."""
    echoes: dict[int, int] = {}
    seen: dict[object, int] = {}
    order: list[tuple[bytes, bytes, bytes, bytes, int]] = []
    for position, arrival in enumerate(batch):
        message = arrival.message
        first = seen.setdefault((message.tenant_id, message.event_id), position)
        if first == position and message.dedupe is not None:
            key = (message.tenant_id, message.source_id, message.dedupe)
            first = seen.setdefault(key, position)
        if first != position:
            echoes[position] = first
            continue
        order.append(
            (
                message.tenant_id,
                message.source_id,
                message.dedupe or b"",
                message.event_id,
                position,
            )
        )
    order.sort()
    return Sorted([entry[-1] for entry in order], echoes)


def echo(arrival: Arrival, first: Arrival, outcome: Outcome) -> Outcome:
    """Return what becomes of a repetition inside one batch, given what became of the first."""
    if isinstance(outcome, Poison):
        return outcome
    if arrival.event_id == first.event_id:
        return outcome if isinstance(outcome, Duplicate) else Redelivered(first.event_id)
    original = outcome.original if isinstance(outcome, Duplicate) else first.event_id
    return Duplicate(arrival.event_id, original)


def plan(
    arrivals: Iterable[Arrival],
    routes: Mapping[UUID, Sequence[Route]],
    random: Callable[[int], bytes],
) -> list[Planned]:
    """Return the deliveries of new events: one for each destination that wants it.

    Args:
        arrivals: what is new.
        routes: the destinations of each tenant.
        random: returns so many random bytes.
    """
    wanted = [
        (arrival, route)
        for arrival in arrivals
        for route in routes[arrival.tenant_id]
        if route.takes_all or matches(route, arrival.source_id, arrival.message.event_type)
    ]
    chance = random(_TIME_BYTES * len(wanted))
    return [
        Planned(
            delivery_id(arrival.message.event_id, chance[at : at + _TIME_BYTES]),
            arrival,
            route.destination_id,
            route.is_open,
        )
        for at, (arrival, route) in zip(range(0, len(chance), _TIME_BYTES), wanted, strict=True)
    ]


def delivery_id(event_id: bytes, chance: bytes) -> UUID:
    """Return an id for a delivery of an event, with the event's time: they share a partition."""
    variant = chance[0] & _BELOW_VARIANT | _VARIANT
    return uuid_of(event_id[:_TIME_BYTES] + bytes((variant,)) + chance[1:])
