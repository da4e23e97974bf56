"""Plans, limits of a tenant's own, and what is told of them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import Invalid, QuotaReached
from crossdock.tenancy import plans
from crossdock.tenancy.model import Day


def test_every_plan_limits_the_same_things_and_a_larger_one_never_less() -> None:
    assert len({tuple(limits) for limits in plans.PLANS.values()}) == 1
    free, standard, business = (plans.PLANS[name] for name in ("free", "standard", "business"))
    for quota in plans.QUOTAS:
        small, middle, large = free[quota], standard[quota], business[quota]
        assert small is not None
        assert middle is not None
        assert large is not None
        assert small <= middle <= large
        assert plans.PLANS["unlimited"][quota] is None
        assert quota in plans.WORDS


def test_a_limit_of_its_own_stands_in_place_of_the_plans() -> None:
    limits = plans.limits_of("free", {"sources": 77})
    assert limits["sources"] == 77
    assert limits["users"] == plans.PLANS["free"]["users"]
    assert plans.limits_of("a plan to come", {}) == plans.PLANS["free"]


def test_limits_are_merged_and_given_back() -> None:
    assert plans.changed({}, {"sources": 5, "users": 0}) == {"sources": 5, "users": 0}
    assert plans.changed({"sources": 5, "users": 1}, {"users": None}) == {"sources": 5}
    assert plans.changed({"sources": 5}, {"sources": 6}) == {"sources": 6}


@pytest.mark.parametrize("limit", [-1, 1.5, "5", True, [], 10**15 + 1])
def test_what_is_no_limit_is_refused(limit: Any) -> None:
    with pytest.raises(Invalid):
        plans.changed({}, {"sources": limit})


@pytest.mark.parametrize("limit", [0, plans.MAX_RATE + 1])
@pytest.mark.parametrize("name", plans.RATES)
def test_a_rate_is_one_that_can_be_counted(name: str, limit: int) -> None:
    with pytest.raises(Invalid) as error:
        plans.changed({}, {name: limit})
    assert error.value.violations[0].pointer == f"/quotas/{name}"
    assert plans.changed({}, {name: 1}) == {name: 1}


def test_a_rate_is_a_plans_or_a_tenants_own() -> None:
    for plan, limits in plans.PLANS.items():
        for name in plans.RATES:
            assert plans.rate(plan, {}, name) == limits[name]
            assert plans.rate(plan, {name: 7, "sources": 1}, name) == 7


def test_what_is_no_quota_or_plan_is_refused() -> None:
    with pytest.raises(Invalid) as error:
        plans.changed({}, {"moons": 1})
    assert error.value.violations[0].pointer == "/quotas/moons"
    with pytest.raises(Invalid) as error:
        plans.check_plan("enterprise")
    assert error.value.violations[0].pointer == "/plan"


def test_who_has_all_is_told_of_what_and_what_to_do() -> None:
    plans.check_room("sources", 4, 5)
    plans.check_room("sources", 10**6, None)
    with pytest.raises(QuotaReached, match=r"5 of the 5 sources .*quota sources.* Delete one"):
        plans.check_room("sources", 5, 5)
    with pytest.raises(QuotaReached, match="Revoke a key"):
        plans.check_room("api_keys", 9, 5)


@pytest.mark.parametrize(
    ("used", "limit", "level"),
    [
        (0, 5, None),
        (3, 5, None),
        (4, 5, 80),
        (5, 5, 100),
        (9, 5, 100),
        (1, 1, 100),
        (7, 9, None),
        (8, 9, 80),
        (0, 0, None),
        (1, 0, 100),
        (5, None, None),
    ],
)
def test_levels(used: int, limit: int | None, level: int | None) -> None:
    assert plans.level(used, limit) == level


@given(st.integers(0, 10**15), st.none() | st.integers(0, 10**15))
def test_percent_and_levels_agree(used: int, limit: int | None) -> None:
    share, level = plans.share(used, limit), plans.level(used, limit)
    if share.percent is None:
        assert limit is None
        assert level is None
    elif used:
        assert level == (100 if share.percent >= 100 else 80 if share.percent >= 80 else None)


def test_a_day_is_used_up_by_whichever_runs_out_first() -> None:
    limits = {**plans.PLANS["unlimited"], "events_per_day": 10, "bytes_per_day": 100}
    assert not plans.is_used_up(Day(9, 99, 10**9), limits)
    assert plans.is_used_up(Day(10, 0, 10), limits)
    assert plans.is_used_up(Day(1, 100, 1), limits)
    assert plans.is_used_up(Day(0, 0, 5), {**limits, "stored_events": 5})
    assert plans.levels(Day(8, 99, 8), limits) == {"events_per_day": 80, "bytes_per_day": 80}


def test_the_next_day_begins_at_midnight_in_utc() -> None:
    assert plans.next_day(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == datetime(
        2027, 1, 1, tzinfo=UTC
    )
    assert plans.next_day(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 2, tzinfo=UTC)
