"""Slugs, names and states of tenants."""

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import Conflict, Invalid
from crossdock.tenancy import rules
from crossdock.tenancy.model import Tenant


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Acme", "acme"),
        ("  Acme & Söhne GmbH ", "acme-sohne-gmbh"),
        ("a" * 100, "a" * 63),
        ("x" * 62 + "-yz", "x" * 62),
        ("東京", ""),
    ],
)
def test_a_slug_is_made_from_a_name(name: str, slug: str) -> None:
    assert rules.slug_of(name) == slug


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=100))
def test_a_made_slug_is_a_good_one(name: str) -> None:
    rules.check(name, rules.slug_of(name))


@pytest.mark.parametrize("slug", ["", "-a", "a-", "A", "a_b", "a" * 64, "a\n", "ä"])
def test_a_slug_that_would_not_fit_a_host_name_is_refused(slug: str) -> None:
    with pytest.raises(Invalid) as error:
        rules.check("name", slug)
    assert error.value.violations[0].pointer == "/slug"


@pytest.mark.parametrize("name", ["", "a" * 101, "a\0", "a\nb"])
def test_a_name_that_nobody_can_print_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as error:
        rules.check(name, "slug")
    assert error.value.violations[0].pointer == "/name"


def tenant(state: Any) -> Tenant:
    return Tenant(uuid.uuid1(), "acme", "Acme", state, 0, 1, datetime(2026, 1, 1, tzinfo=UTC))


def test_suspend_and_resume_lead_to_and_fro() -> None:
    assert rules.switch(tenant("active"), "suspended")
    assert rules.switch(tenant("suspended"), "active")
    assert not rules.switch(tenant("active"), "active")


def test_an_end_can_be_called_off_until_the_data_is_gone() -> None:
    for state in ("active", "suspended"):
        assert rules.switch(tenant(state), "terminating")
    assert rules.switch(tenant("terminating"), "active")
    assert rules.switch(tenant("terminating"), "terminated")
    for state in ("active", "suspended", "terminating"):
        with pytest.raises(Conflict, match="terminated"):
            rules.switch(tenant("terminated"), state)  # type: ignore[arg-type]
    with pytest.raises(Conflict, match="terminating"):
        rules.switch(tenant("terminating"), "suspended")


def test_the_platform_is_always_there() -> None:
    platform = msgspec.structs.replace(tenant("active"), id=rules.PLATFORM)
    for state in ("suspended", "terminating", "terminated"):
        with pytest.raises(Conflict):
            rules.switch(platform, state)


@pytest.mark.parametrize(
    "slug", ["www", "api", "admin", "platform", "ab", "a", "xn--80ak6aa92e", "support", "\u0430cme"]
)
def test_nobody_signs_up_as_somebody_else(slug: str) -> None:
    with pytest.raises(Invalid) as error:
        rules.check_own("Acme", slug)
    assert error.value.violations[0].pointer == "/slug"


def test_an_operator_may_give_a_short_slug() -> None:
    rules.check("Acme", "ab")
    rules.check_own("Acme", "abc")


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "x" * 501])
def test_a_reason_says_something(reason: str) -> None:
    with pytest.raises(Invalid) as error:
        rules.check_reason(reason)
    assert error.value.violations[0].pointer == "/reason"


def test_a_grace_is_some_days() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert rules.end_of_grace(now, 30) == datetime(2026, 1, 31, tzinfo=UTC)
    assert rules.end_of_grace(now, 0) == now
    for days in (-1, 366, 10**9):
        with pytest.raises(Invalid):
            rules.end_of_grace(now, days)
