"""What is read off a histogram of durations."""

from datetime import UTC, datetime, timedelta
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.delivery.stats import rules
from crossdock.delivery.stats.model import Counts, Hour

DURATIONS = st.lists(st.integers(1, 67_000), min_size=1, max_size=200)


def histogram(durations: list[int]) -> tuple[int, ...]:
    """Return how many of the durations are in each step."""
    found = [0] * len(rules.EDGES)
    for one in durations:
        found[rules.bucket(one)] += 1
    return tuple(found)


@given(DURATIONS, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_a_tenth_off_at_most(durations: list[int], share: float) -> None:
    exact = sorted(durations)[ceil(share * len(durations)) - 1]
    found = rules.percentile(histogram(durations), share)
    assert found is not None
    assert abs(found - exact) <= 0.1 * exact + 0.05, "it is told to a tenth of a millisecond"


@given(DURATIONS, DURATIONS)
def test_hours_add_up(first: list[int], second: list[int]) -> None:
    both = rules.add([Counts(1, 2, 3, histogram(first)), Counts(4, 5, 6, histogram(second))])
    assert (both.delivered, both.failed, both.dead) == (5, 7, 9)
    assert both.durations == histogram(first + second)


@pytest.mark.parametrize(("duration", "step"), [(0, 0), (0.4, 0), (1, 0), (10**9, 61)])
def test_what_is_too_short_or_too_long_has_a_step_too(duration: float, step: int) -> None:
    assert rules.bucket(duration) == step


def test_a_minute_is_no_overflow() -> None:
    assert rules.bucket(60_000) < len(rules.EDGES) - 1


def test_nothing_has_no_percentile_and_no_rate() -> None:
    assert rules.percentile((), 0.5) is None
    assert rules.success_rate(Counts()) is None
    assert rules.success_rate(Counts(delivered=3, failed=1)) == 0.75


def test_hours_in_which_nothing_happened_are_there() -> None:
    now = datetime(2026, 11, 23, 12, 34, tzinfo=UTC)
    known = Hour(datetime(2026, 11, 23, 11, tzinfo=UTC), Counts(delivered=7))
    series = rules.series([known], now, 3)
    assert [one.hour.hour for one in series] == [10, 11, 12]
    assert [one.counts.delivered for one in series] == [0, 7, 0]
    assert rules.begin_of_hour(now.astimezone()) == now - timedelta(minutes=34)
