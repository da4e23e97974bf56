"""When letters are tried again."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from crossdock.mail.rules import GIVE_UP, LONGEST_WAIT_S, SPREAD, next_try

MADE = datetime(2026, 11, 23, tzinfo=UTC)


def tries(chance: float) -> list[datetime]:
    """All moments of a letter that never gets through."""
    found = [MADE]
    while (due := next_try(len(found), MADE, found[-1], chance)) is not None:
        found.append(due)
    return found


@given(st.floats(0, 1))
def test_tries_go_on_for_a_day_further_and_further_apart(chance: float) -> None:
    moments = tries(chance)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    assert gaps == sorted(gaps)
    assert 5 <= gaps[0] <= 10
    assert gaps[-1] <= LONGEST_WAIT_S
    assert GIVE_UP - timedelta(seconds=LONGEST_WAIT_S) < moments[-1] - MADE <= GIVE_UP
    assert 24 < len(moments) < 60


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_no_number_of_attempts_is_too_large(attempts: int, chance: float) -> None:
    due = next_try(attempts, MADE, MADE, chance)
    assert due is not None
    assert timedelta(0) < due - MADE <= timedelta(seconds=LONGEST_WAIT_S)
    assert (due - MADE).total_seconds() >= 10 * (1 - SPREAD)
