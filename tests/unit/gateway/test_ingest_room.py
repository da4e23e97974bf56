"""Room for large bodies: bounded for all, half of it for one, and never shut for good."""

import pytest

from crossdock.errors import Busy
from gateway.ingest.room import Room

ONE, OTHER, THIRD = b"1" * 16, b"2" * 16, b"3" * 16


def test_a_tenant_takes_half_and_no_more() -> None:
    room = Room(100)
    room.take(ONE, 30)
    room.take(ONE, 20)

    with pytest.raises(Busy) as refused:
        room.take(ONE, 1)
    assert refused.value.retry_after_s > 1

    room.take(OTHER, 50)
    with pytest.raises(Busy):
        room.take(THIRD, 1)
    room.give_back(ONE, 30)
    room.take(THIRD, 30)


def test_one_body_may_be_larger_than_a_tenants_half() -> None:
    room = Room(100)
    room.take(ONE, 80)

    with pytest.raises(Busy):
        room.take(ONE, 1)
    room.take(OTHER, 20)


def test_where_nobody_has_any_room_one_body_of_any_size_is_taken() -> None:
    room = Room(100)
    room.take(ONE, 1000)

    with pytest.raises(Busy):
        room.take(OTHER, 1)
    room.give_back(ONE, 1000)
    room.take(OTHER, 1)


def test_nothing_is_remembered_of_who_has_none() -> None:
    room = Room(100)
    for number in range(50):
        room.take(number.to_bytes(16), 2)
        room.give_back(number.to_bytes(16), 2)
    for number in range(50):
        room.take(number.to_bytes(16), 2)
    for number in range(50):
        room.give_back(number.to_bytes(16), 2)

    assert not room._held
    assert room._left == 100


def test_a_body_grows_past_its_tenants_half_while_it_is_the_only_one() -> None:
    room = Room(100)
    for held in range(0, 90, 10):
        room.take(ONE, 10, mine=held)

    room.take(OTHER, 5)
    room.take(ONE, 5, mine=90)
    with pytest.raises(Busy):
        room.take(ONE, 1, mine=95)
    with pytest.raises(Busy):
        room.take(OTHER, 1, mine=5)


def test_to_look_takes_nothing() -> None:
    room = Room(100)
    room.take(ONE, 40)
    for _ in range(10):
        room.check(ONE, 10)
    with pytest.raises(Busy):
        room.check(ONE, 11)
    with pytest.raises(Busy):
        room.check(OTHER, 61)
