"""Restarting waits longer each time, and forgives."""

from crossdock.backoff import FIRST_S, LONGEST_S, STABLE_S, Backoff


def test_each_failure_doubles_the_wait_up_to_a_longest() -> None:
    backoff = Backoff()
    delays = [backoff.delay(0.0) for _ in range(100)]
    assert delays[:4] == [FIRST_S, FIRST_S * 2, FIRST_S * 4, FIRST_S * 8]
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_S


def test_a_run_that_lasted_is_forgiven() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.delay(0.0)
    assert backoff.delay(STABLE_S) == FIRST_S
    assert backoff.delay(STABLE_S - 0.1) == FIRST_S * 2
