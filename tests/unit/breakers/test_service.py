"""The breakers of one process alone, by a clock of the test's own."""

import asyncio
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.breakers.memory import IDLE_S
from crossdock.breakers.model import Change, Outcome, Paused, Policy, Scope, Ticket, scope
from crossdock.breakers.service import Breakers


class Clock:
    """Seconds that only grow, beside a wall clock that may jump."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall = 1_700_000_000.0

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


def whom(number: int = 1, tenant: int = 1, host: str = "example.com") -> Scope:
    return scope("destination", UUID(int=tenant), UUID(int=number), host)


def made(clock: Clock, chance: float = 0.0, capacity: int = 100, **policy: float) -> Breakers:
    return Breakers(
        Policy(**policy),  # type: ignore[arg-type]
        clock=lambda: clock.wall,
        monotonic=lambda: clock.now,
        chance=lambda: chance,
        capacity=capacity,
    )


def call(breakers: Breakers, scope: Scope, outcome: Outcome, took_s: float = 0.0) -> None:
    ticket = breakers.enter(scope)
    assert ticket is not None
    breakers.report(ticket, outcome, took_s)


def opened(breakers: Breakers, scope: Scope) -> None:
    for _ in range(5):
        call(breakers, scope, "bad")
    assert breakers.enter(scope) is None


def probe(breakers: Breakers, scope: Scope) -> Ticket | None:
    return asyncio.run(breakers.probe(scope, 20.0))


def test_failures_in_a_row_open_it_and_a_success_between_begins_anew() -> None:
    clock = Clock()
    breakers = made(clock)
    for _ in range(3):
        for _ in range(4):
            call(breakers, whom(), "bad")
        call(breakers, whom(), "good")
    assert breakers.rest(whom()) == 0
    opened(breakers, whom())
    assert breakers.rest(whom()) == 5
    assert breakers.rest(whom(2)) == 0
    assert breakers.enter(whom(2)) is not None


def test_half_of_twenty_calls_open_it_though_none_are_in_a_row() -> None:
    breakers = made(Clock())
    for _ in range(9):
        call(breakers, whom(), "bad")
        call(breakers, whom(), "good")
    assert breakers.rest(whom()) == 0
    call(breakers, whom(), "bad")
    call(breakers, whom(), "good")
    assert breakers.rest(whom()) == 5
    assert breakers.view(whom()).calls == 20


def test_failures_of_long_ago_are_no_part_of_the_rate() -> None:
    clock = Clock()
    breakers = made(clock)
    for _ in range(40):
        call(breakers, whom(), "bad")
        call(breakers, whom(), "good")
        clock.later(4)
    assert breakers.rest(whom()) == 0


def test_slow_calls_open_it_though_they_succeed() -> None:
    breakers = made(Clock())
    for _ in range(19):
        call(breakers, whom(), "good", 10.0)
    assert breakers.rest(whom()) == 0
    call(breakers, whom(), "good", 10.0)
    assert breakers.rest(whom()) > 0


def test_nothing_that_says_nothing_counts() -> None:
    breakers = made(Clock())
    for _ in range(100):
        call(breakers, whom(), "none", 20.0)
    assert len(breakers) == 0


def test_while_half_open_as_many_probes_as_allowed_and_enough_of_them_close_it() -> None:
    clock = Clock()
    breakers = made(clock, probes=2, closes_after=2)
    opened(breakers, whom())
    assert probe(breakers, whom()) is None
    clock.later(5)
    assert breakers.is_half_open(whom())
    first, second = probe(breakers, whom()), probe(breakers, whom())
    assert first is not None
    assert second is not None
    assert probe(breakers, whom()) is None
    breakers.report(first, "good")
    assert breakers.is_half_open(whom())
    assert breakers.enter(whom()) is None
    breakers.report(second, "good")
    assert breakers.enter(whom()) is not None
    assert breakers.view(whom()).state == "closed"


def test_many_who_ask_at_once_get_one_probe() -> None:
    clock = Clock()
    breakers = made(clock)
    opened(breakers, whom())
    clock.later(5)

    async def ask() -> list[Ticket | None]:
        return await asyncio.gather(*(breakers.probe(whom(), 20) for _ in range(50)))

    assert sum(one is not None for one in asyncio.run(ask())) == 1


@pytest.mark.parametrize("word", ["none", "abandoned"])
def test_a_probe_that_says_nothing_frees_its_place(word: str) -> None:
    clock = Clock()
    breakers = made(clock)
    opened(breakers, whom())
    clock.later(5)
    ticket = probe(breakers, whom())
    assert ticket is not None
    if word == "none":
        breakers.report(ticket, "none")
    else:
        breakers.abandon(ticket)
    assert breakers.is_half_open(whom())
    assert probe(breakers, whom()) is not None


def test_a_probe_that_never_comes_back_frees_its_place_by_itself() -> None:
    clock = Clock()
    breakers = made(clock)
    opened(breakers, whom())
    clock.later(5)
    assert probe(breakers, whom()) is not None
    clock.later(19)
    assert probe(breakers, whom()) is None
    clock.later(2)
    assert probe(breakers, whom()) is not None


def test_each_failed_probe_doubles_the_rest_to_a_cap() -> None:
    clock, rests = Clock(), []
    breakers = made(clock)
    opened(breakers, whom())
    for _ in range(10):
        rests.append(breakers.rest(whom()))
        clock.later(rests[-1])
        ticket = probe(breakers, whom())
        assert ticket is not None
        breakers.report(ticket, "bad")
    assert rests[:4] == [5, 10, 20, 40]
    assert max(rests) == 300


def test_results_of_an_epoch_that_is_over_are_dropped() -> None:
    clock = Clock()
    breakers = made(clock)
    late = [breakers.enter(whom()) for _ in range(50)]
    opened(breakers, whom())
    clock.later(5)
    ticket = probe(breakers, whom())
    assert ticket is not None
    for one in late[:25]:
        assert one is not None
        breakers.report(one, "bad")
        assert breakers.is_half_open(whom()), "a call that began before it opened is no probe"
    breakers.report(ticket, "good")
    for one in late[25:]:
        assert one is not None
        breakers.report(one, "bad")
    assert breakers.enter(whom()) is not None
    breakers.report(ticket, "bad")
    assert breakers.enter(whom()) is not None


def test_by_hand_it_is_open_or_never_is() -> None:
    breakers = made(Clock())
    assert breakers.enter(whom(), "open") is None
    assert breakers.rest(whom(), "open") > 0
    opened(breakers, whom())
    for _ in range(50):
        ticket = breakers.enter(whom(), "off")
        assert ticket is not None
        breakers.report(ticket, "bad")
    assert breakers.rest(whom(), "off") == 0
    assert not breakers.is_half_open(whom(), "off")


def test_a_wall_clock_that_jumps_moves_no_rest() -> None:
    clock = Clock()
    breakers = made(clock)
    opened(breakers, whom())
    for jump in (1e9, -2e9):
        clock.wall += jump
        assert breakers.rest(whom()) == 5
    clock.later(5)
    assert breakers.is_half_open(whom())


def test_a_pause_holds_whatever_the_breaker_says_and_ends() -> None:
    clock, heard = Clock(), list[Paused]()
    breakers = made(clock)
    breakers.on_pause.append(heard.append)
    breakers.pause(whom(), 30)
    breakers.pause(whom(), 10)
    assert [one.for_s for one in heard] == [30, 10]
    assert breakers.rest(whom()) == breakers.rest(whom(), "off") == 30
    assert breakers.view(whom()).paused_until == clock.wall + 30
    clock.later(30)
    assert breakers.rest(whom()) == 0
    breakers.sweep()
    assert breakers.view(whom()).paused_until is None


def test_a_host_opens_for_all_only_when_several_tenants_fail() -> None:
    clock = Clock()
    breakers = made(clock, host_tenants=3)
    for number in range(5):
        opened(breakers, whom(number, tenant=1))
    opened(breakers, whom(1, tenant=2))
    assert breakers.rest(whom(9, tenant=9)) == 0
    opened(breakers, whom(1, tenant=3))
    assert breakers.rest(whom(9, tenant=9)) > 0
    assert breakers.rest(whom(9, tenant=9, host="example.org")) == 0
    clock.later(5)
    ticket = probe(breakers, whom(1, tenant=3))
    assert ticket is not None
    breakers.report(ticket, "good")
    assert breakers.rest(whom(9, tenant=9)) == 0
    alone = made(clock)
    for tenant in range(10):
        opened(alone, whom(1, tenant=tenant))
    assert alone.rest(whom(9, tenant=99)) == 0, "by default no host is closed for all"


def test_changes_are_told_with_what_they_rest_on() -> None:
    clock, heard = Clock(), list[Change]()
    breakers = made(clock)
    breakers.on_change.append(heard.append)
    opened(breakers, whom())
    clock.later(5)
    ticket = probe(breakers, whom())
    assert ticket is not None
    breakers.report(ticket, "good")
    assert [(one.state, one.why, one.epoch, one.is_ours) for one in heard] == [
        ("open", "consecutive", 1, True),
        ("closed", "probed", 2, True),
    ]
    assert (heard[0].calls, heard[0].failed) == (5, 5)


def test_memory_is_bounded_and_what_is_long_past_is_forgotten() -> None:
    clock = Clock()
    breakers = made(clock, capacity=10)
    for number in range(5):
        opened(breakers, whom(number))
    for number in range(100, 200):
        call(breakers, whom(number), "bad")
    assert len(breakers) == 10
    assert breakers.rest(whom(0)) == 5, "an open one makes no room for others"
    for number in range(5, 10):
        opened(breakers, whom(number))
    call(breakers, whom(999), "bad")
    assert len(breakers) == 10
    clock.later(IDLE_S + 6)
    breakers.sweep()
    assert len(breakers) == 0


steps = st.lists(
    st.tuples(st.sampled_from(["good", "bad", "none", "probe", "wait"]), st.floats(0, 15)),
    max_size=120,
)


@settings(max_examples=60)
@given(steps=steps, chance=st.floats(0, 1, exclude_max=True), probes=st.integers(1, 3))
def test_whatever_happens_it_lets_through_only_whom_it_may(
    steps: list[tuple[str, float]], chance: float, probes: int
) -> None:
    clock = Clock()
    breakers = made(clock, chance=chance, probes=probes)
    epochs, probing = [0], list[Ticket]()
    breakers.on_change.append(lambda change: epochs.append(change.epoch))
    for step, value in steps:
        state = breakers.view(whom()).state
        if step == "wait":
            clock.later(value)
        elif step == "probe":
            ticket = probe(breakers, whom())
            assert ticket is None or state == "half-open"
            probing = [one for one in probing if one.epoch == epochs[-1]]
            if ticket is not None:
                probing.append(ticket)
            assert len(probing) <= probes + 1, "one may have been lost"
        else:
            entered = breakers.enter(whom())
            assert (entered is not None) == (state == "closed")
            used = entered or (probing.pop() if probing else None)
            if used is not None:
                breakers.report(used, step, value)  # type: ignore[arg-type]
    assert epochs == sorted(set(epochs)), "epochs only grow"
    assert breakers.rest(whom()) <= 300 * 1.2
