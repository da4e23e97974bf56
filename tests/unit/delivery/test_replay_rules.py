"""Whose turn it is, how far a replay is, and what may be asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from crossdock import ids
from crossdock.delivery.model import Replay, ReplayFilter
from crossdock.delivery.replays import rules

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TENANTS = [UUID(int=number) for number in range(1, 6)]


def replay(wanted: ReplayFilter, **fields: Any) -> Replay:
    """Return one that was started at noon and looks at the two hours before."""
    made = Replay(
        tenant_id=TENANTS[0],
        id=ids.floor(NOON),
        state="running",
        filter=wanted,
        cursor=None,
        matched=0,
        created_at=NOON,
        finished_at=None,
        low=ids.floor(NOON - 2 * HOUR),
    )
    return replace(made, **fields)


def test_progress_is_the_share_of_the_time() -> None:
    wanted = ReplayFilter()
    assert rules.progress(replay(wanted)) == 0
    half = replay(wanted, cursor=ids.floor(NOON - HOUR))
    assert rules.progress(half) == pytest.approx(0.5, abs=0.001)
    assert rules.progress(replay(wanted, state="done")) == 1
    assert rules.progress(replay(wanted, low=None)) == 0
    short = ReplayFilter(created_before=NOON - HOUR)
    assert rules.progress(replay(short, cursor=ids.floor(NOON - HOUR))) == 1
    chosen = ReplayFilter(state="all", event_ids=tuple(TENANTS[:4]))
    assert rules.progress(replay(chosen, seen=3)) == 0.75


def test_it_looks_from_its_beginning_to_its_own_start_and_never_twice() -> None:
    wanted = ReplayFilter()
    low, high = rules.bounds(replay(wanted))
    assert low < ids.floor(NOON - 2 * HOUR) < high == ids.floor(NOON)
    cursor = ids.floor(NOON - HOUR)
    assert rules.bounds(replay(wanted, cursor=cursor))[0] == cursor
    missed = ReplayFilter(state="missed", destination_id=TENANTS[0])
    assert rules.bounds(replay(missed))[1] > ids.floor(NOON), "gateways' clocks may be ahead"


def test_what_was_stored_or_released_meanwhile_is_in_scope() -> None:
    wanted = ReplayFilter(state="missed", destination_id=TENANTS[0], routed_after=NOON)
    assert rules.is_in_scope(wanted, NOON + HOUR, None)
    assert not rules.is_in_scope(wanted, NOON - HOUR, None)
    assert rules.is_in_scope(wanted, NOON - 9 * HOUR, NOON + HOUR)
    assert rules.is_in_scope(wanted, None, None), "nobody wrote down when"
    assert rules.is_in_scope(ReplayFilter(state="all"), NOON - HOUR, None)


def test_tenants_take_turns_whatever_they_have() -> None:
    first, second, third = TENANTS[:3]
    jobs = [(first, UUID(int=number)) for number in (10, 11, 12)]
    jobs += [(second, UUID(int=20)), (third, UUID(int=30))]
    before: dict[UUID, UUID] = {}
    turns = [rules.take_turns(jobs, before, 2) for _ in range(6)]
    counted = [tenant for turn in turns for tenant, _ in turn]
    assert [counted.count(one) for one in (first, second, third)] == [4, 4, 4]
    own = [job for turn in turns for tenant, job in turn if tenant == first]
    assert own == [UUID(int=10), UUID(int=11), UUID(int=12), UUID(int=10)]
    assert rules.take_turns([(third, UUID(int=30))], before, 2) == [(third, UUID(int=30))]
    assert set(before) == {third}, "who has none left is forgotten"


@pytest.mark.parametrize(
    ("wanted", "pointers"),
    [
        (ReplayFilter(), []),
        (ReplayFilter(created_after=NOON, created_before=NOON), ["/created_before"]),
        (ReplayFilter(event_types=("a b",)), ["/event_types/0"]),
        (ReplayFilter(state="missed"), ["/destination_id"]),
        (ReplayFilter(state="missed", destination_id=TENANTS[0]), []),
        (ReplayFilter(state="all", reason="gone", last_status=500), ["/reason", "/last_status"]),
        (ReplayFilter(state="all", event_ids=(TENANTS[0],)), []),
        (ReplayFilter(event_ids=(TENANTS[0],)), ["/event_ids"]),
        (ReplayFilter(state=None, delivery_ids=(TENANTS[0],)), []),
        (ReplayFilter(state="all", delivery_ids=(TENANTS[0],)), ["/delivery_ids"]),
    ],
    ids=range(10),
)
def test_a_wish_fits_together(wanted: ReplayFilter, pointers: list[str]) -> None:
    assert [one.pointer for one in rules.check(wanted)] == pointers
