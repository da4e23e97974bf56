"""Which event goes where, what an answer means, when to try again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.delivery import rules
from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.rules import Answered, Bury, Deliver, Failed, Retry, decide

NOW = 1_800_000_000.0
A, B = UUID(int=1), UUID(int=2)


class Wants(msgspec.Struct):
    """What a destination listens to."""

    source_ids: tuple[UUID, ...] = ()
    event_types: tuple[str, ...] = ()


def after(result: Answered | Failed, **changes: float | RetryPolicy | None) -> rules.Decision:
    """Return the decision on the first attempt of a fresh delivery, but for the changes."""
    options: dict[str, object] = {"attempts": 1, "age_s": 0.0, "now": NOW, "chance": 0.5}
    policy = changes.pop("policy", None)
    return decide(result, policy, **(options | changes))  # type: ignore[arg-type]


# Matching


@pytest.mark.parametrize(
    ("pattern", "event_type", "matches"),
    [
        ("order.paid", "order.paid", True),
        ("order.paid", "order.paid.twice", False),
        ("order.*", "order.paid", True),
        ("order.*", "order.item.added", True),
        ("order.*", "order", False),
        ("order.*", "reorder.paid", False),
        ("*", "", True),
        ("*.paid", "order.paid", True),
        ("*.paid", "order.paid.late", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "acb", False),
        ("aa*aa", "aaa", False),
        ("order.?", "order.x", False),
        ("Order.*", "order.paid", False),
        ("[a-z]*", "order", False),
    ],
)
def test_a_pattern_takes_what_its_words_say(
    pattern: str, event_type: str, *, matches: bool
) -> None:
    assert rules.matches(Wants(event_types=(pattern,)), A, event_type) is matches


@pytest.mark.parametrize("odd", ["a b", "\n", "ä", "a\x7f", "\u2028"])
def test_a_type_has_visible_ascii_characters_only(odd: str) -> None:
    assert rules.check_types(["order.*", "~!"]) == []
    found = rules.check_types(["order.*", odd, "b"])
    assert [violation.pointer for violation in found] == ["/event_types/1"]


def test_nothing_chosen_means_everything() -> None:
    assert rules.matches(Wants(), A, "order.paid")
    assert rules.matches(Wants(source_ids=(A,)), A, "")
    assert not rules.matches(Wants(source_ids=(A,)), B, "")
    assert not rules.matches(Wants(source_ids=(A,), event_types=("a",)), A, "b")


@given(st.lists(st.text("ab*", max_size=6), min_size=1, max_size=4), st.text("ab", max_size=12))
def test_patterns_agree_with_regular_expressions(patterns: list[str], text: str) -> None:
    import re  # noqa: PLC0415 - the oracle

    oracle = any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) for pattern in patterns
    )
    assert rules.matches_type(patterns, text) is oracle


def test_a_hostile_pattern_takes_no_time() -> None:
    assert not rules.matches_type(["*a" * 60 + "b"], "a" * 128)


# What an answer means


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    assert after(Answered(status)) == Deliver()


@pytest.mark.parametrize("status", [101, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405])
@pytest.mark.parametrize("more", [408, 409, 413, 422, 425, 429, 500, 502, 503, 504, 599, 999])
def test_all_else_is_tried_again(status: int, more: int) -> None:
    assert isinstance(after(Answered(status)), Retry)
    assert isinstance(after(Answered(more)), Retry)


@pytest.mark.parametrize("kind", ["connect", "tls", "timeout", "read", "refused", "odd"])
def test_no_answer_is_tried_again(kind: str) -> None:
    assert isinstance(after(Failed(kind)), Retry)  # type: ignore[arg-type]


def test_gone_is_final() -> None:
    assert after(Answered(410)) == Bury("gone")


def test_a_destination_may_call_client_errors_final() -> None:
    policy = RetryPolicy(final_statuses=(400, 422, 429))
    assert after(Answered(422), policy=policy) == Bury("rejected")
    assert isinstance(after(Answered(404), policy=policy), Retry)
    assert isinstance(after(Answered(429), policy=policy), Retry), "a plea to wait is no refusal"


# When to try again


def test_the_default_schedule_to_the_second_without_jitter() -> None:
    waits = [after(Answered(500), attempts=n) for n in range(1, 11)]
    expected = [5, 30, 120, 600, 3600, 10800, 21600, 43200, 86400]
    assert waits == [*(Retry(float(s)) for s in expected), Bury("attempts_exhausted")]


@given(st.integers(1, 9), st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_a_fifth(attempts: int, chance: float) -> None:
    decision = after(Answered(500), attempts=attempts, chance=chance)
    nominal = rules.DEFAULT_DELAYS_S[attempts - 1]
    assert isinstance(decision, Retry)
    assert 0.8 * nominal <= decision.delay_s <= 1.2 * nominal


def test_a_list_or_a_formula_of_ones_own() -> None:
    listed = RetryPolicy(delays_s=(1.0, 2.0))
    assert after(Answered(500), policy=listed, attempts=2) == Retry(2.0)
    assert after(Answered(500), policy=listed, attempts=3) == Bury("attempts_exhausted")
    formula = RetryPolicy(base_s=2, factor=3, cap_s=20, count=4)
    assert list(rules.delays(formula)) == [2, 6, 18, 20]
    assert after(Answered(500), policy=RetryPolicy(count=0)) == Bury("attempts_exhausted")
    assert list(rules.delays(RetryPolicy(final_statuses=(400,)))) == list(rules.DEFAULT_DELAYS_S)


def test_nothing_is_tried_beyond_the_longest_age() -> None:
    policy = RetryPolicy(delays_s=(10.0,) * 5, max_age_s=25)
    assert isinstance(after(Answered(500), policy=policy, age_s=14), Retry)
    assert after(Answered(500), policy=policy, age_s=16) == Bury("too_old")


def test_twenty_four_hours_of_a_destination_that_is_down() -> None:
    """The whole schedule by a clock of our own: attempts fall where they should, and end."""
    clock, made = NOW, []
    number = 0
    while True:
        number += 1
        made.append(clock - NOW)
        decision = after(Failed("connect"), attempts=number, age_s=clock - NOW)
        if not isinstance(decision, Retry):
            break
        clock += decision.delay_s
    assert decision == Bury("attempts_exhausted")
    expected = [0, 5, 35, 155, 755, 4355, 15155, 36755, 79955, 166355]
    assert made == [float(s) for s in expected]
    within_a_day = [at for at in made if at <= timedelta(hours=24).total_seconds()]
    assert len(within_a_day) == 9


# Retry-After


def test_retry_after_is_obeyed_when_it_is_longer() -> None:
    assert after(Answered(429, "120"), chance=0.0) == Retry(120.0)
    assert after(Answered(503, "1")) == Retry(5.0), "the schedule's own wait is longer"
    spread = after(Answered(503, "100"), chance=0.999)
    assert isinstance(spread, Retry)
    assert 100 < spread.delay_s <= 120, "never sooner than asked, but not all at once"


def test_retry_after_is_capped() -> None:
    assert after(Answered(503, "99999999999"), chance=0.0) == Retry(86400.0)
    capped = RetryPolicy(delays_s=(1.0, 60.0), cap_s=30)
    assert after(Answered(503, "45"), policy=capped, chance=0.0) == Retry(30.0)


def http_date(moment: float) -> str:
    return format_datetime(datetime.fromtimestamp(moment, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        (http_date(NOW + 90), 90.0),
        (http_date(NOW - 90), 0.0),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 0.0),
        ("-5", None),
        ("1.5", None),
        ("1e9", None),
        ("", None),
        ("soon", None),
        ("٣", None),
        ("120, 240", None),
        ("1" * 65, None),
        ("Fri, 99 Foo 2015 99:99:99 GMT", None),
        ("\x00", None),
    ],
)
def test_retry_after_reads_seconds_and_dates_and_nothing_else(
    text: str, seconds: float | None
) -> None:
    assert rules.retry_after_s(text, NOW) == seconds


def test_retry_after_survives_the_year_9999() -> None:
    far = rules.retry_after_s("Fri, 31 Dec 9999 23:59:59 GMT", NOW)
    assert far is not None
    assert far > 86400
    assert after(Answered(503, "Fri, 31 Dec 9999 23:59:59 GMT"), chance=0.0) == Retry(86400.0)


@given(st.text(max_size=80))
def test_retry_after_never_raises(text: str) -> None:
    seconds = rules.retry_after_s(text, NOW)
    assert seconds is None or seconds >= 0


# Giving up on a destination


def test_five_days_of_failure_end_a_destination() -> None:
    assert not rules.is_given_up(None)
    assert not rules.is_given_up(timedelta(days=4, hours=23).total_seconds())
    assert rules.is_given_up(timedelta(days=5).total_seconds())


# What an owner may ask for


@pytest.mark.parametrize(
    ("policy", "pointer"),
    [
        (RetryPolicy(delays_s=(0.5,)), "/retry/delays_s"),
        (RetryPolicy(delays_s=(1.0,) * 51), "/retry/delays_s"),
        (RetryPolicy(delays_s=(1.0,), count=3), "/retry/delays_s"),
        (RetryPolicy(base_s=-1), "/retry/base_s"),
        (RetryPolicy(base_s=float("nan")), "/retry/base_s"),
        (RetryPolicy(factor=0.5), "/retry/factor"),
        (RetryPolicy(count=1000), "/retry/count"),
        (RetryPolicy(cap_s=1e12), "/retry/cap_s"),
        (RetryPolicy(max_age_s=1e9), "/retry/max_age_s"),
        (RetryPolicy(final_statuses=(429,)), "/retry/final_statuses"),
        (RetryPolicy(final_statuses=(500,)), "/retry/final_statuses"),
    ],
)
def test_a_policy_that_breaks_a_rule_is_told_which(policy: RetryPolicy, pointer: str) -> None:
    assert {violation.pointer for violation in rules.check_policy(policy)} == {pointer}


def test_sensible_policies_are_taken() -> None:
    for policy in (
        RetryPolicy(),
        RetryPolicy(delays_s=()),
        RetryPolicy(delays_s=(1, 60, 3600), max_age_s=86400, final_statuses=(400, 422)),
        RetryPolicy(base_s=5, factor=2, cap_s=600, count=20),
    ):
        assert rules.check_policy(policy) == []
