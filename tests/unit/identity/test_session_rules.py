"""How long sessions last, and what a used token means."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from crossdock.config import IdentitySettings
from crossdock.identity.origin import MAX_USER_AGENT, Origin
from crossdock.identity.sessions import rules
from crossdock.identity.sessions.model import Session, Standing, Step
from crossdock.tenancy.rules import PLATFORM

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SETTINGS = IdentitySettings(refresh_idle_s=100, refresh_absolute_s=1000, access_ttl_s=60)
SESSION = Session(
    tenant_id=PLATFORM,
    id=PLATFORM,
    user_id=PLATFORM,
    created_at=NOW,
    last_used_at=NOW,
    idle_ends_at=NOW + timedelta(seconds=100),
    ends_at=NOW + timedelta(seconds=1000),
)
STANDING = Standing(
    tenant_state="active",
    tenant_not_before=None,
    user_state="active",
    user_not_before=None,
    session_user=PLATFORM,
    session_ended=False,
)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("used", "idle"), [(0, 100), (500, 600), (950, 1000), (2000, 1000)])
def test_use_moves_the_idle_end_and_never_the_last(used: float, idle: float) -> None:
    assert rules.ends(NOW, after(used), SETTINGS) == (after(idle), after(1000))


@pytest.mark.parametrize(("seconds", "is_live"), [(0, True), (99.9, True), (100, False)])
def test_an_idle_session_ends(seconds: float, *, is_live: bool) -> None:
    assert rules.is_live(SESSION, after(seconds)) is is_live


def test_a_session_ends_at_last_and_when_it_is_revoked() -> None:
    busy = msgspec.structs.replace(SESSION, idle_ends_at=after(5000))
    assert rules.is_live(busy, after(999))
    assert not rules.is_live(busy, after(1000))
    assert not rules.is_live(msgspec.structs.replace(SESSION, revoked_at=NOW), NOW)


@pytest.mark.parametrize(
    ("seconds", "successor_used", "meaning"),
    [
        (0, False, "answer"),
        (-0.001, False, "answer"),  # used by the one that was locked out before us
        (10, False, "answer"),
        (10.001, False, "reuse"),
        (0, True, "reuse"),
        (11, True, "reuse"),
    ],
)
def test_a_used_token_is_a_question_asked_again_or_a_theft(
    seconds: float, *, successor_used: bool, meaning: str
) -> None:
    assert rules.repeats(Step(after(-seconds), successor_used), NOW, 10.0) == meaning


def test_no_access_token_outlives_its_session() -> None:
    assert rules.access_seconds(after(1000), NOW, SETTINGS) == 60
    assert rules.access_seconds(after(30), NOW, SETTINGS) == 30
    assert rules.access_seconds(after(-0.001), NOW, SETTINGS) == 1  # it ended while we asked


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, True),
        ({"user_not_before": NOW}, True),
        ({"user_not_before": after(0.000001)}, False),
        ({"tenant_not_before": NOW}, True),
        ({"tenant_not_before": after(0.000001)}, False),
        ({"user_state": "disabled"}, False),
        ({"user_state": None}, False),
        ({"session_user": None}, False),
        ({"session_ended": True}, False),
    ],
)
def test_a_token_counts_while_nothing_has_ended_it(
    change: dict[str, object], *, counts: bool
) -> None:
    standing = msgspec.structs.replace(STANDING, **change)
    assert rules.counts(standing, PLATFORM, NOW.timestamp()) is counts


def test_a_user_agent_is_one_short_line_that_prints() -> None:
    assert Origin.of("", "Mozilla/5.0\t(X11)\x00\x1b[31m \u202e").user_agent == (
        "Mozilla/5.0 (X11) [31m"
    )
    assert len(Origin.of("", "x" * 10_000).user_agent) == MAX_USER_AGENT
