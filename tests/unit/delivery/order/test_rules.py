"""Rules of order."""

from uuid import UUID

from crossdock import ids
from crossdock.delivery.order import rules
from crossdock.delivery.order.model import Line


def test_everybody_takes_lanes_in_one_order() -> None:
    tenants = [ids.new() for _ in range(200)]
    found = rules.lanes(tenants)
    assert found == sorted(set(found)) == rules.lanes(reversed(tenants))
    assert found == list(range(rules.LANES)), "tenants spread over all of them"
    assert rules.lanes([]) == []


def test_a_tenant_always_has_the_same_lane() -> None:
    tenant = UUID("01a20993-1980-7034-acc3-e8090bb67019")
    assert rules.lane(tenant) == 9
    assert rules.lanes([tenant, tenant]) == [9]


def test_waits_grow_to_a_tenth_of_a_second() -> None:
    wait, waits = 0.0, []
    for _ in range(10):
        wait = rules.longer(wait)
        waits.append(wait)
    assert waits[0] == rules.FIRST_WAIT_S
    assert waits == sorted(waits)
    assert waits[-1] == rules.LONGEST_WAIT_S


def test_only_another_stream_is_behind_the_floor() -> None:
    assert not rules.is_behind(10, 10), "all of it is acknowledged"
    assert not rules.is_behind(10, 11)
    assert rules.is_behind(10, 9)
    assert not rules.is_behind(0, 0), "nothing has come yet"


def place(line: int, seq: int) -> tuple[Line, int]:
    """Return where something is to join."""
    return (UUID(int=1), UUID(int=2), line), seq


def test_what_joins_at_once_is_cut_between_events() -> None:
    firsts = [place(3, 12), place(1, 10), place(4, 12), place(2, 10)]
    found = rules.cut(firsts, 3, 99, has_more=False)
    assert {line for _, _, line in found.lines} == {1, 2}
    assert (found.floor, found.has_more) == (11, True), "the next event has two lines more"
    found = rules.cut(firsts, 4, 99, has_more=False)
    assert (len(found.lines), found.floor, found.has_more) == (4, 99, False)
    found = rules.cut(firsts, 4, 13, has_more=True)
    assert (len(found.lines), found.floor, found.has_more) == (4, 13, True)
    found = rules.cut(firsts, 1, 99, has_more=False)
    assert (len(found.lines), found.floor, found.has_more) == (2, 10, True), "one event at least"
    assert rules.cut([], 4, 99, has_more=False).floor == 99
