"""Slugs, names and states of tenants."""

import uuid
from datetime import UTC, datetime
from typing import Any

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
    for state in ("terminating", "terminated"):
        with pytest.raises(Conflict, match=state):
            rules.switch(tenant(state), "active")
