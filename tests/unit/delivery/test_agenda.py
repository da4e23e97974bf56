"""What a process remembers of the queue."""

from uuid import UUID

from crossdock.delivery.dispatch.agenda import Agenda
from crossdock.delivery.dispatch.lines import Key


def key(number: int) -> Key:
    return UUID(int=number), UUID(int=0)


def test_the_earliest_moment_counts_and_comes_once() -> None:
    agenda = Agenda()
    agenda.note(key(1), 50)
    agenda.note(key(1), 20)
    agenda.note(key(1), 90)
    assert agenda.next() == 20
    assert agenda.due(19, 10) == []
    assert agenda.due(20, 10) == [key(1)]
    assert agenda.due(1000, 10) == []
    assert agenda.next() is None


def test_what_is_postponed_is_not_due_before() -> None:
    agenda = Agenda()
    agenda.note(key(1), 10)
    agenda.postpone(key(1), 40)
    agenda.note(key(1), 20)
    assert agenda.due(39, 10) == []
    assert not agenda.has_due(39)
    assert agenda.has_due(40)
    assert agenda.due(40, 10) == [key(1)]
    agenda.note(key(1), 20)
    assert agenda.due(40, 10) == [key(1)], "once it was looked at, it is as any other"


def test_soonest_first_and_no_more_than_asked_for() -> None:
    agenda = Agenda()
    for number, moment in ((1, 30), (2, 10), (3, 20)):
        agenda.note(key(number), moment)
    assert agenda.due(100, 2) == [key(2), key(3)]
    assert agenda.due(100, 2) == [key(1)]


def test_memory_is_bounded_and_forgetting_is_allowed() -> None:
    agenda = Agenda(capacity=10)
    for number in range(100):
        agenda.note(key(number), number)
    assert len(agenda) == 10
    for moment in range(1000):
        agenda.postpone(key(1), moment)
    assert len(agenda._heap) <= 41
    assert agenda.due(5000, 100)[-1] == key(1)


def test_what_was_postponed_can_be_hurried() -> None:
    agenda = Agenda()
    for number in (1, 2, 3):
        agenda.postpone(key(number), 40)
    agenda.note(key(4), 30)
    agenda.hurry([UUID(int=1), UUID(int=4)], 10)
    assert agenda.due(10, 10) == [key(1)]
    assert agenda.due(30, 10) == [key(4)], "it was not waiting for anybody's word"
    agenda.hurry(None, 35)
    assert set(agenda.due(35, 10)) == {key(2), key(3)}


def test_what_is_due_sooner_is_not_put_off_by_hurrying() -> None:
    agenda = Agenda()
    agenda.postpone(key(1), 40)
    agenda.hurry(None, 50)
    assert agenda.due(40, 10) == [key(1)]


def test_what_was_postponed_can_be_resumed_and_nothing_else() -> None:
    agenda = Agenda()
    agenda.postpone(key(1), 40)
    agenda.note(key(2), 40)
    for number in (1, 2, 3):
        agenda.resume(key(number), 10)
    assert agenda.due(10, 10) == [key(1)]
    assert agenda.due(40, 10) == [key(2)]
    agenda.postpone(key(1), 50)
    agenda.resume(key(1), 60)
    agenda.note(key(1), 45)
    assert agenda.due(45, 10) == [key(1)], "it is no longer postponed"
