"""A destination's rate: no more than it says in any span of its length, and hardly less."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.delivery.destinations.model import Rate
from crossdock.delivery.dispatch.rates import PLENTY, Rates, _limit
from crossdock.delivery.model import Target
from crossdock.native import LimitTable

TENANT, DESTINATION = UUID(int=1), UUID(int=2)
SECOND = 1_000_000_000


def target(rate: Rate | None, number: int = 2) -> Target:
    return Target(
        tenant_id=TENANT,
        id=UUID(int=number),
        url="https://example.com",
        enabled=True,
        secrets=(),
        retry=None,
        timeout_s=15,
        failing_s=None,
        version=1,
        rate=rate,
    )


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 200),
    per_s=st.sampled_from([1.0, 2.5, 60.0]),
    gaps=st.lists(st.floats(0, 0.3), min_size=1, max_size=300),
)
def test_no_span_has_more_calls_than_the_rate_says(
    count: int, per_s: float, gaps: list[float]
) -> None:
    table = LimitTable(None, b"", 64)
    limit = _limit(TENANT, DESTINATION, Rate(count, per_s))
    now, admitted = 1000 * SECOND, list[int]()
    for gap in gaps:
        now += int(gap * SECOND)
        while table.take((limit,), now_ns=now).admitted:
            admitted.append(now)
    span = int(per_s * SECOND)
    for index, first in enumerate(admitted):
        within = sum(first <= one < first + span for one in admitted[index:])
        assert within <= count


@pytest.mark.parametrize("count", [1, 10, 100, 1000])
def test_what_a_rate_says_is_nearly_reached(count: int) -> None:
    table = LimitTable(None, b"", 64)
    limit = _limit(TENANT, DESTINATION, Rate(count, 1.0))
    admitted = 0
    for turn in range(10_000):
        while table.take((limit,), now_ns=1000 * SECOND + turn * SECOND // 1000).admitted:
            admitted += 1
    assert 0.94 * 10 * count <= admitted <= 10 * count + count


def test_who_has_no_permit_is_told_when_to_come_back() -> None:
    rates = Rates(LimitTable(None, b"", 64))
    slow, other = target(Rate(1, 3600.0)), target(Rate(1, 3600.0), 3)
    assert rates.room(slow) == 1
    assert rates.take(slow)
    assert not rates.take(slow)
    assert rates.room(slow) == 0
    assert 3590 <= rates.wait_s(slow) <= 3600
    assert rates.room(other) == 1, "each has its own"


def test_waits_are_never_so_short_that_somebody_asks_all_the_time() -> None:
    rates = Rates(LimitTable(None, b"", 64))
    fast = target(Rate(100_000, 1.0))
    while rates.take(fast):
        pass
    assert rates.wait_s(fast) >= 0.02


def test_without_a_rate_there_is_no_end_of_permits() -> None:
    rates = Rates(LimitTable(None, b"", 64))
    assert rates.room(target(None)) == PLENTY
    assert all(rates.take(target(None)) for _ in range(1000))
    assert rates.wait_s(target(None)) == 0


def test_processes_that_share_a_table_share_permits(tmp_path: object) -> None:
    path = f"{tmp_path}/table"
    members = [Rates(LimitTable(path, b"boot", 64)) for _ in range(3)]
    slow = target(Rate(2, 3600.0))
    taken = [one.take(slow) for one in members for _ in range(2)]
    assert sum(taken) == 1, "one at once, the second half a span later"
    assert [later for _, later in pairwise(taken)] == [False] * 5
