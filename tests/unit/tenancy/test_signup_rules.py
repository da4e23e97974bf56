"""Tokens and slugs of signups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import Invalid
from crossdock.tenancy import rules as tenants
from crossdock.tenancy.signup import rules


@pytest.mark.parametrize("token", ["", "x", "a" * 42, "a" * 44, "a" * 42 + "é", "a" * 42 + "\n"])
def test_what_is_no_token_is_refused_without_a_look_up(token: str) -> None:
    with pytest.raises(Invalid) as error:
        rules.token_hash(token)
    assert error.value.violations[0].pointer == "/token"


def test_a_made_slug_is_the_names_own_where_that_is_free() -> None:
    assert rules.made_slug("Acme & Söhne", "x1y2z", is_taken=False) == "acme-sohne"
    assert rules.made_slug("Acme", "x1y2z", is_taken=True) == "acme-x1y2z"
    assert rules.made_slug("api", "x1y2z", is_taken=False) == "api-x1y2z"
    assert rules.made_slug("A", "x1y2z", is_taken=False) == "a-x1y2z"
    assert rules.made_slug("東京", "x1y2z", is_taken=False) == "tenant-x1y2z"


@given(name=st.text(min_size=1, max_size=100), is_taken=st.booleans())
def test_a_made_slug_is_always_a_good_one(*, name: str, is_taken: bool) -> None:
    tenants.check_own("A name", rules.made_slug(name, "x1y2z", is_taken=is_taken))
