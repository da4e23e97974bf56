"""Plans: how much of everything a tenant may have. Pure.

A plan is a limit for each quota; an operator may give a tenant limits of its own in place of some
of them (`Tenant.quotas`). No limit is `None`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, get_args

import msgspec

from crossdock.errors import Invalid, QuotaReached, Violation
from crossdock.tenancy.model import Day, Plan, Quota, Rate, Share
from crossdock.validation import convert, pointer

MAX_LIMIT: Final = 10**15
"""Beyond what anybody counts to, and exact in every JSON reader."""

RATES: Final[tuple[Rate, ...]] = get_args(Rate)
MAX_RATE: Final = 60_000_000
"""Of requests or webhooks a minute. The least is one: who may have none is suspended."""

LEVELS: Final = (100, 80)
"""Percent of a limit at which a tenant is told, the highest first."""

Limits = Mapping[str, int | None]
"""By the quota's name."""


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    sources: int | None = None
    destinations: int | None = None
    users: int | None = None
    api_keys: int | None = None
    connections: int | None = None
    stored_events: int | None = None
    events_per_day: int | None = None
    bytes_per_day: int | None = None
    requests_per_minute: int | None = None
    webhooks_per_minute: int | None = None
    concurrent_jobs: int | None = None


_GIB: Final = 1024**3

PLANS: Final[Mapping[Plan, Limits]] = {
    "free": msgspec.structs.asdict(
        _Plan(
            sources=5,
            destinations=5,
            users=5,
            api_keys=10,
            connections=1,
            stored_events=200_000,
            events_per_day=10_000,
            bytes_per_day=_GIB // 4,
            requests_per_minute=300,
            webhooks_per_minute=600,
            concurrent_jobs=1,
        )
    ),
    "standard": msgspec.structs.asdict(
        _Plan(
            sources=500,
            destinations=500,
            users=100,
            api_keys=500,
            connections=50,
            stored_events=150_000_000,
            events_per_day=5_000_000,
            bytes_per_day=50 * _GIB,
            requests_per_minute=6_000,
            webhooks_per_minute=60_000,
            concurrent_jobs=10,
        )
    ),
    "business": msgspec.structs.asdict(
        _Plan(
            sources=5_000,
            destinations=5_000,
            users=2_000,
            api_keys=5_000,
            connections=500,
            stored_events=1_500_000_000,
            events_per_day=50_000_000,
            bytes_per_day=500 * _GIB,
            requests_per_minute=60_000,
            webhooks_per_minute=600_000,
            concurrent_jobs=50,
        )
    ),
    "unlimited": msgspec.structs.asdict(_Plan()),
}

QUOTAS: Final[tuple[str, ...]] = tuple(PLANS["unlimited"])
"""The names of all, in the order in which they are shown."""

WORDS: Final[Mapping[str, str]] = {
    "sources": "sources",
    "destinations": "destinations",
    "users": "users and open invitations",
    "api_keys": "live API keys",
    "connections": "connections",
    "concurrent_jobs": "running jobs",
    "stored_events": "stored events",
    "events_per_day": "events a day",
    "bytes_per_day": "bytes a day",
    "requests_per_minute": "requests a minute",
    "webhooks_per_minute": "webhooks a minute",
}
_MEND: Final[Mapping[str, str]] = {
    "users": "Remove a user or an invitation",
    "api_keys": "Revoke a key",
    "concurrent_jobs": "Wait until one is done, or cancel it",
}

_Override = Annotated[int, msgspec.Meta(ge=0, le=MAX_LIMIT)]


def limits_of(plan: str, quotas: Mapping[str, int]) -> Limits:
    """Return what a tenant may have: its plan's limits, and its own in place of some.

    A plan that this release does not know is the smallest there is; so a tenant that a newer one
    made can do too little for a moment, and never too much.
    """
    return {**PLANS.get(plan, PLANS["free"]), **quotas}  # type: ignore[call-overload]


def rate(plan: str, quotas: Mapping[str, int], name: Rate) -> int | None:
    """Return how many requests or webhooks a minute a tenant may send; `None` is any number."""
    found = quotas.get(name)
    if found is None:
        found = PLANS.get(plan, PLANS["free"])[name]  # type: ignore[call-overload]
    return None if found is None else min(max(found, 1), MAX_RATE)


def changed(quotas: Mapping[str, int], patch: Mapping[str, Any]) -> dict[str, int]:
    """Merge changes (RFC 7396) into a tenant's own limits; `None` gives back the plan's.

    Raises:
        Invalid: there is no such quota, or the limit is none.
    """
    if unknown := sorted(set(patch) - set(QUOTAS)):
        found = [Violation(pointer("quotas", name), "There is no such quota.") for name in unknown]
        raise Invalid(f"Quotas are {', '.join(QUOTAS)}.", *found)
    given = convert(
        {name: limit for name, limit in patch.items() if limit is not None}, dict[str, _Override]
    )
    if bad := [name for name in RATES if name in given and not 1 <= given[name] <= MAX_RATE]:
        what = f"A rate is 1 to {MAX_RATE}."
        raise Invalid(None, *(Violation(pointer("quotas", name), what) for name in bad))
    kept = {name: limit for name, limit in quotas.items() if name not in patch}
    return {name: (kept | given)[name] for name in QUOTAS if name in kept or name in given}


def check_plan(plan: str) -> Plan:
    """Return a plan by its name.

    Raises:
        Invalid: there is none of that name.
    """
    known: tuple[Plan, ...] = get_args(Plan)
    for one in known:
        if one == plan:
            return one
    raise Invalid(f"Plans are {', '.join(known)}.", Violation("/plan", f"{plan!r} is no plan."))


def check_room(quota: str, used: int, limit: int | None) -> None:
    """Check that one more may be made.

    Raises:
        QuotaReached: there are as many as there may be.
    """
    if limit is not None and used >= limit:
        mend = _MEND.get(quota, "Delete one")
        raise QuotaReached(
            f"This tenant has {used} of the {limit} {WORDS[quota]} it may have (quota {quota})."
            f" {mend}, or ask for a higher quota."
        )


def share(used: int | None, limit: int | None) -> Share:
    """Return how much of a quota is used. Of a limit of zero, anything is all."""
    if used is None or limit is None:
        return Share(used, limit, None)
    return Share(used, limit, 100 if limit == 0 else used * 100 // limit)


def level(used: int, limit: int | None) -> int | None:
    """Return the highest level that is reached, if any is."""
    if limit is None or not used:
        return None
    return next((percent for percent in LEVELS if used * 100 >= percent * limit), None)


def of_day(day: Day, limits: Limits) -> dict[Quota, tuple[int, int | None]]:
    """Return what a day's counters are held against: used, and the limit, by quota."""
    return {
        "events_per_day": (day.events, limits["events_per_day"]),
        "bytes_per_day": (day.bytes, limits["bytes_per_day"]),
        "stored_events": (day.stored_events, limits["stored_events"]),
    }


def levels(day: Day, limits: Limits) -> dict[Quota, int]:
    """Return the levels that a day has reached."""
    reached = {quota: level(*share) for quota, share in of_day(day, limits).items()}
    return {quota: percent for quota, percent in reached.items() if percent is not None}


def is_used_up(day: Day, limits: Limits) -> bool:
    """Tell whether no more webhooks are taken today."""
    return any(limit is not None and used >= limit for used, limit in of_day(day, limits).values())


def next_day(now: datetime) -> datetime:
    """Return when the next day begins, in UTC."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1)
