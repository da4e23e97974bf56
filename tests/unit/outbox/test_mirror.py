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


def test_strangers_are_what_no_row_has_and_does_not_say_so() -> None:
    a, b, c = (letter * 64 for letter in "abc")
    tenant, gone = f"tenant.{'a' * 32}", f"tenant.{'b' * 32}"
    kind, ended = f"type.{'a' * 64}", f"type.{'b' * 64}"
    known = {a: (3, 1), b: (3, 2), c: (FOREVER, 3), tenant: (3, 4), gone: (3, 5)}
    known |= {kind: (3, 6), ended: (3, 7)}
    assert mirror(**known).strangers({a: 3, tenant: 3, kind: 3}) == {b, gone, ended}


def test_revocations_and_junk_are_nobodys_strangers() -> None:
    others = (f"session.{'a' * 32}", f"user.{'a' * 32}", "not-hex", "tenant.", "tenant.x", "a" * 63)
    assert mirror(**dict.fromkeys(others, (1, 1))).strangers({}) == set()


def test_revocations_are_forgotten_when_the_broker_has_dropped_them() -> None:
    made = mirror(a=(3, 1))
    made._know("session", Known(3, 2, until=100.0))
    made.forget_ended(99.0)
    assert set(made._known) == {"a", "session"}
    made.forget_ended(101.0)
    assert set(made._known) == {"a"}


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
