"""What a batch of results says about the destinations they came from."""

from datetime import timedelta
from uuid import UUID

from crossdock.delivery.dispatch.recorder import Outcome, verdicts
from crossdock.delivery.dispatch.store import Settled
from crossdock.delivery.model import DeliveryState, Leased, Target

LONG = timedelta(days=5).total_seconds()
LATELY = timedelta(hours=1).total_seconds()
KEY = (UUID(int=1), UUID(int=2))


def outcome(
    state: DeliveryState, failing_s: float | None = None, reason: str | None = None
) -> Outcome:
    leased = Leased(
        tenant_id=KEY[0],
        id=UUID(int=3),
        event_id=UUID(int=4),
        destination_id=KEY[1],
        attempts=0,
        lease=UUID(int=5),
        lease_ends=0.0,
    )
    target = Target(
        tenant_id=KEY[0],
        id=KEY[1],
        url="https://example.com/",
        enabled=True,
        secrets=(),
        retry=None,
        timeout_s=15,
        failing_s=failing_s,
        version=1,
    )
    return Outcome(Settled(leased, state, 1, reason=reason), target)


def test_a_success_of_a_healthy_destination_changes_nothing() -> None:
    assert verdicts([outcome("delivered")]) == ({}, {})


def test_the_first_failure_begins_the_time_and_a_success_ends_it() -> None:
    assert verdicts([outcome("pending")]) == ({KEY: True}, {})
    assert verdicts([outcome("dead", reason="attempts_exhausted")]) == ({KEY: True}, {})
    assert verdicts([outcome("pending", LATELY)]) == ({}, {})
    assert verdicts([outcome("delivered", LATELY)]) == ({KEY: False}, {})


def test_a_success_among_failures_is_the_end_of_nothing_but_failures() -> None:
    assert verdicts([outcome("pending"), outcome("delivered")]) == ({}, {})
    old = [outcome("pending", LONG), outcome("delivered", LONG)]
    assert verdicts(old) == ({KEY: False}, {})
    assert verdicts(old[::-1]) == ({KEY: False}, {})


def test_five_days_disable_and_so_does_a_410_at_once() -> None:
    assert verdicts([outcome("pending", LONG)]) == ({}, {KEY: "failing"})
    assert verdicts([outcome("dead", None, "gone")]) == ({}, {KEY: "gone"})
    both = [outcome("dead", None, "gone"), outcome("delivered")]
    assert verdicts(both) == ({}, {KEY: "gone"}), "a 410 stands"


def test_what_was_never_called_says_nothing() -> None:
    bare = Outcome(outcome("cancelled", reason="destination_deleted").settled)
    assert verdicts([bare]) == ({}, {})
