"""Whose turn it is: by what each has used of late."""

from uuid import UUID

from crossdock.transforms.turns import REMEMBERED, Turns

A, B, C = (UUID(int=number) for number in (1, 2, 3))


def turns(*, most: int = 100, share: int = 1) -> Turns[str]:
    return Turns(most=most, share=share)


def test_who_used_least_goes_first_whatever_his_scripts_cost() -> None:
    line = turns()
    for number in range(20):
        assert line.add(A, f"a{number}")
        assert line.add(B, f"b{number}")
    spent = {A: 0.0, B: 0.0}
    cost = {A: 1.0, B: 0.1}
    for _ in range(11):
        taken = line.take()
        assert taken is not None
        spent[taken[0]] += cost[taken[0]]
        line.done(taken[0], cost[taken[0]])
    assert abs(spent[A] - spent[B]) <= max(cost.values()) + 1e-9


def test_nobody_has_more_than_his_share_at_once() -> None:
    line = turns(share=2)
    for job in "abc":
        line.add(A, job)
    assert [line.take(), line.take(), line.take()] == [(A, "a"), (A, "b"), None]
    line.add(B, "x")
    assert line.take() == (B, "x")
    line.done(A, 0.1)
    assert line.take() == (A, "c")


def test_who_comes_late_gets_nothing_for_the_time_before() -> None:
    line = turns()
    for number in range(10):
        line.add(A, f"a{number}")
    for _ in range(5):
        line.take()
        line.done(A, 10.0)
    line.add(B, "b0")
    line.add(B, "b1")
    order = []
    for _ in range(3):
        taken = line.take()
        assert taken is not None
        order.append(taken[0])
        line.done(taken[0], 10.0)
    assert order.count(B) < 3, "five turns that B did not want are not owed"


def test_who_goes_away_and_comes_back_begins_no_lower() -> None:
    line = turns()
    line.add(A, "a")
    line.take()
    line.done(A, 100.0)
    line.add(B, "b")
    line.take()
    line.done(B, 1.0)
    line.add(A, "a")
    line.add(B, "b")
    assert line.take() == (B, "b")


def test_the_line_is_bounded_and_each_has_half_of_it() -> None:
    line = turns(most=6)
    assert [line.add(A, str(number)) for number in range(4)] == [True, True, True, False]
    assert [line.add(B, str(number)) for number in range(4)] == [True, True, True, False]
    assert not line.add(C, "c")
    assert len(line) == 6


def test_what_is_taken_back_is_gone() -> None:
    line = turns()
    line.add(A, "a")
    line.add(A, "b")
    assert line.remove(A, "a")
    assert not line.remove(A, "a")
    assert not line.remove(B, "b")
    assert line.take() == (A, "b")
    line.add(B, "c")
    assert line.clear() == ["c"]
    assert len(line) == 0
    assert line.take() is None


def test_what_is_remembered_is_bounded() -> None:
    line = turns()
    for number in range(REMEMBERED + 10):
        tenant = UUID(int=number)
        line.add(tenant, "a")
        line.take()
        line.done(tenant, 1.0)
    assert len(line._used) <= REMEMBERED
