"""How many of one destination fly, where that changes while they do."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from crossdock.delivery.dispatch.lines import Caps, Key, Lines

CAPS = Caps(total=16, tenant=8, destination=4, waiting=64)
A: Key = (UUID(int=1), UUID(int=1))
B: Key = (UUID(int=1), UUID(int=2))


class Limits:
    """What owners have set."""

    def __init__(self) -> None:
        self.of: dict[Key, int] = {}

    def __call__(self, key: Key) -> int:
        return self.of.get(key, 1000)


def filled(limits: Limits, count: int = 20) -> Lines[int]:
    lines: Lines[int] = Lines(CAPS, limits)
    for number in range(count):
        lines.add(A, number)
    return lines


def take_all(lines: Lines[int]) -> int:
    count = 0
    while lines.take() is not None:
        count += 1
    return count


def test_a_cap_of_its_own_holds_and_never_more_than_all_have() -> None:
    limits = Limits()
    limits.of[A] = 2
    assert take_all(filled(limits)) == 2
    limits.of[A] = 100
    assert take_all(filled(limits)) == CAPS.destination
    limits.of[A] = 0
    assert take_all(filled(limits)) == 1, "who may not be called at all is not here"


def test_a_cap_that_grows_counts_as_soon_as_it_is_looked_at_again() -> None:
    limits = Limits()
    limits.of[A] = 1
    lines = filled(limits)
    assert take_all(lines) == 1
    limits.of[A] = 3
    assert take_all(lines) == 0
    lines.look_again(A)
    lines.look_again(B)
    assert take_all(lines) == 2


def test_a_cap_that_falls_lets_nothing_more_go_until_enough_have_landed() -> None:
    limits = Limits()
    lines = filled(limits)
    assert take_all(lines) == 4
    lines.done(A)  # it is in turn again
    limits.of[A] = 1
    assert take_all(lines) == 0
    lines.add(B, 99)
    taken = lines.take()
    assert taken == (B, 99), "others go on meanwhile"
    for _ in range(2):
        lines.done(A)
        assert take_all(lines) == 0
    lines.done(A)
    assert take_all(lines) == 1


def test_room_goes_by_how_many_may_fly() -> None:
    limits = Limits()
    limits.of[A] = 1
    lines: Lines[int] = Lines(CAPS, limits)
    assert lines.room(A) == 8
    assert lines.room(B) == 8 * CAPS.destination
    assert lines.allot([A, B], 100) == {A: 8, B: 32}


steps = st.lists(
    st.tuples(st.sampled_from(["add", "take", "done", "cap", "look"]), st.integers(0, 5)),
    max_size=200,
)


@given(steps=steps)
def test_whatever_changes_no_cap_is_exceeded_by_a_start_and_nobody_is_forgotten(
    steps: list[tuple[str, int]],
) -> None:
    limits = Limits()
    lines: Lines[int] = Lines(CAPS, limits)
    flying, left = 0, 0
    for step, value in steps:
        if step == "add" and lines.room(A):
            lines.add(A, value)
            left += 1
        elif step == "take" and lines.take() is not None:
            flying, left = flying + 1, left - 1
            assert flying <= lines.cap(A)
        elif step == "done" and flying:
            lines.done(A)
            flying -= 1
        elif step == "cap":
            limits.of[A] = value
        elif step == "look":
            lines.look_again(A)
    while flying:
        lines.done(A)
        flying -= 1
    lines.look_again(A)
    while left:
        assert lines.take() is not None
        lines.done(A)
        left -= 1
    assert lines.flying == lines.waiting == 0
