"""Rules of persisting: who is first, who repeats whom, and what goes where."""

from uuid import UUID

import pytest

from crossdock.inbound.persist.matching import Routed
from crossdock.inbound.persist.model import (
    Arrival,
    Duplicate,
    Outcome,
    Poison,
    Redelivered,
    Route,
    Stored,
)
from crossdock.inbound.persist.rules import due, echo, lower_halves, plan, sort
from proto.ingest import Ingested


def made(number: int) -> UUID:
    """Return a UUIDv7 of a number."""
    return UUID(int=number << 80 | 0x7 << 76 | 0x8 << 60 | number)


A, B, C = (made(number) for number in (0xA, 0xB, 0xC))


def arrival(
    event_id: UUID = A, *, tenant: UUID = A, source: UUID = A, dedupe: bytes | None = b"k" * 16
) -> Arrival:
    """Return one webhook."""
    return Arrival.of(
        Ingested(
            event_id=event_id.bytes,
            tenant_id=tenant.bytes,
            source_id=source.bytes,
            event_type="order.paid",
            dedupe=dedupe,
            provider_id=None,
            content_type="",
            headers=[],
            traceparent="",
            body=b"",
        ),
        1,
    )


def test_the_first_of_a_key_wins() -> None:
    batch = [arrival(B), arrival(A), arrival(C, dedupe=b"x" * 16)]
    ordered = sort(batch)
    assert sorted(ordered.firsts) == [0, 2]
    assert ordered.echoes == {1: 0}


def test_the_same_message_twice_is_one() -> None:
    assert sort([arrival(dedupe=None), arrival(dedupe=None)]).echoes == {1: 0}


def test_a_repeated_repetition_leads_to_its_own_first() -> None:
    batch = [arrival(A), arrival(B), arrival(B)]
    assert sort(batch).echoes == {1: 0, 2: 1}


def test_tenant_source_and_kind_of_key_tell_events_apart() -> None:
    key = b"k" * 16
    batch = [
        arrival(A, dedupe=key),
        arrival(B, tenant=B, dedupe=key),
        arrival(C, source=B, dedupe=key),
        arrival(made(0xD), dedupe=None),
    ]
    assert sort(batch).echoes == {}


def test_everybody_sorts_alike() -> None:
    batch = [
        arrival(made(number + 1), tenant=tenant, dedupe=bytes([number]) * 16)
        for number in range(9)
        for tenant in (C, A, B)
    ]
    there = [batch[at].key for at in sort(batch).firsts]
    back = batch[::-1]
    assert there == [back[at].key for at in sort(back).firsts] == sorted(there)


@pytest.mark.parametrize(
    ("second", "outcome", "expected"),
    [
        (A, Stored(A), Redelivered(A)),
        (A, Redelivered(A), Redelivered(A)),
        (A, Duplicate(A, C), Duplicate(A, C)),
        (A, Poison("x"), Poison("x")),
        (B, Stored(A), Duplicate(B, A)),
        (B, Redelivered(A), Duplicate(B, A)),
        (B, Duplicate(A, C), Duplicate(B, C)),
        (B, Poison("x"), Poison("x")),
    ],
)
def test_what_becomes_of_a_repetition(second: UUID, outcome: Outcome, expected: Outcome) -> None:
    assert echo(arrival(second), arrival(A), outcome) == expected


def test_a_delivery_for_each_destination_that_wants_it() -> None:
    every = Route(A, [], [], is_open=True)
    closed = Route(B, [], ["order.*"], is_open=False)
    others = [Route(C, [C], [], is_open=True), Route(C, [], ["refund"], is_open=True)]
    found = Routed([every, closed, *others]).plainly(arrival())
    planned = plan([(arrival(), found)], lambda size: b"\xff" * size)
    assert [(one.destination_id, one.is_open) for one in planned] == [(A, True), (B, False)]
    for one in planned:
        assert one.id.bytes[:8] == one.arrival.event_id.bytes[:8]
        assert one.id.bytes[8:] == b"\xbf" + b"\xff" * 7


def test_as_many_are_leased_as_there_is_room_for_and_the_rest_is_due() -> None:
    routed = Routed([Route(A, [], [], is_open=True), Route(B, [], [], is_open=False)])
    going = [(arrival(made(at)), routed.plainly(arrival())) for at in range(1, 6)]
    planned = plan(going, lambda size: b"\0" * size, {(A, A): 3, (A, B): 9}.__getitem__)
    assert sum(one.is_leased for one in planned) == 3
    assert {one.destination_id for one in planned if one.is_leased} == {A}
    assert due(planned) == {(A, A)}
    everything = plan(going, lambda size: b"\0" * size)
    assert sum(one.is_leased for one in everything) == 5
    assert due(everything) == set()


def test_a_tenant_without_destinations_has_no_deliveries() -> None:
    assert Routed([]).plainly(arrival()) == []
    assert plan([(arrival(), [])], lambda size: b"\0" * size) == []


def test_lower_halves_are_those_of_uuids() -> None:
    for byte in (0x00, 0x3F, 0x7F, 0x80, 0xC0, 0xFF):
        chance = bytes([byte]) * 24
        halves = lower_halves(chance)
        assert len(halves) == 24
        for at in (0, 8, 16):
            whole = UUID(bytes=b"\0" * 6 + b"\x70\0" + halves[at : at + 8])
            assert (whole.variant, whole.version) == ("specified in RFC 4122", 7)
            assert halves[at + 1 : at + 8] == chance[1:8]


def test_an_arrival_must_have_real_ids() -> None:
    with pytest.raises(ValueError, match="dedupe hash of 3 bytes"):
        arrival(dedupe=b"abc")
