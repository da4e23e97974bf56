"""A destination that can't be reached is left alone, longer each time."""

from uuid import UUID

from crossdock.delivery.dispatch.breaker import (
    FIRST_REST_S,
    LONGEST_REST_S,
    THRESHOLD,
    Breakers,
)

KEY = (UUID(int=1), UUID(int=2))
OTHER = (UUID(int=1), UUID(int=3))


def opened(now: float = 0.0) -> Breakers:
    breakers = Breakers()
    for _ in range(THRESHOLD):
        breakers.failed(KEY, now, 0.0)
    return breakers


def test_it_opens_after_failures_in_a_row_only() -> None:
    breakers = Breakers()
    for _ in range(THRESHOLD - 1):
        breakers.failed(KEY, 0, 0.0)
    breakers.answered(KEY)
    breakers.failed(KEY, 0, 0.0)
    assert breakers.rest(KEY, 0) == 0
    assert opened().rest(KEY, 0) == FIRST_REST_S
    assert opened().rest(OTHER, 0) == 0


def test_then_one_call_probes_and_an_answer_closes_it() -> None:
    breakers = opened()
    assert breakers.rest(KEY, FIRST_REST_S) == 0
    assert breakers.is_probing(KEY)
    breakers.answered(KEY)
    assert not breakers.is_probing(KEY)
    assert len(breakers) == 0


def test_each_failed_probe_doubles_the_rest_to_a_limit() -> None:
    breakers, now, rests = opened(), 0.0, []
    for _ in range(10):
        rests.append(breakers.rest(KEY, now))
        now += rests[-1]
        breakers.failed(KEY, now, 0.0)
    assert rests[:4] == [5, 10, 20, 40]
    assert max(rests) == LONGEST_REST_S


def test_calls_that_were_under_way_do_not_count_again() -> None:
    breakers = opened()
    for _ in range(50):
        breakers.failed(KEY, 1.0, 0.0)
    assert breakers.rest(KEY, 1.0) == FIRST_REST_S - 1


def test_many_return_spread_out() -> None:
    rests = set()
    for chance in (0.0, 0.25, 0.5, 0.75):
        breakers = Breakers()
        for _ in range(THRESHOLD):
            breakers.failed(KEY, 0.0, chance)
        rests.add(breakers.rest(KEY, 0.0))
    assert len(rests) == 4
    assert max(rests) <= 1.2 * FIRST_REST_S
