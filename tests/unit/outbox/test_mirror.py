"""What a drainer makes of the bucket and the database."""

from crossdock.outbox.mirror import Known, Mirror
from crossdock.outbox.store import Position
from proto.settings import FOREVER


def mirror(**known: tuple[int, int]) -> Mirror:
    made = Mirror.__new__(Mirror)
    made._known = {key: Known(*both) for key, both in known.items()}
    return made


def test_what_is_missing_or_older_is_behind() -> None:
    versions = {"a": 3, "b": 3, "c": 3, "d": 3}
    assert mirror(a=(3, 1), b=(2, 2), c=(4, 3)).behind(versions) == {"b", "d"}


def test_strangers_are_what_no_source_has_and_does_not_say_so() -> None:
    assert mirror(a=(3, 1), b=(3, 2), c=(FOREVER, 3)).strangers({"a": 3}) == {"b"}


def test_an_older_revision_is_no_news() -> None:
    made = mirror(a=(3, 10))
    made._know("a", Known(2, 9))
    assert made._known["a"] == Known(3, 10)
    made._know("a", Known(4, 11))
    assert made._known["a"] == Known(4, 11)


def test_what_is_published_ends_before_what_waits_and_what_runs() -> None:
    assert Position(finished=100, at=0, waiting=None, behind_s=0).published == 100
    assert Position(finished=100, at=0, waiting=90, behind_s=1).published == 90
    assert Position(finished=100, at=0, waiting=110, behind_s=1).published == 100
