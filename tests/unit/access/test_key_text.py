"""The text of an API key: made, read, and refused."""

import re
import string
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.access import rules, tokentext
from crossdock.errors import ConfigurationError, Unauthenticated

KEY = rules.KeyText(
    uuid.UUID("018f0e2e-7c1a-7abc-8def-0123456789ab"),
    uuid.UUID("018f0e2e-7c1b-7abc-8def-0123456789ab"),
    bytes(range(32)),
)
TEXT = KEY.format("test")
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@given(
    st.builds(
        rules.KeyText,
        tenant_id=st.uuids(),
        id=st.uuids(),
        secret=st.binary(min_size=32, max_size=32),
    ),
    st.text(string.ascii_lowercase, min_size=1, max_size=16),
)
def test_what_is_made_can_be_read(key: rules.KeyText, environment: str) -> None:
    text = key.format(environment)
    assert re.fullmatch(r"cdk_[a-z]+_[0-9A-Za-z]{43}_[0-9A-Za-z]{49}", text)
    assert rules.KeyText.parse(text, environment) == key


def test_every_single_mistyped_character_is_noticed() -> None:
    for position in range(len(TEXT)):
        other = "B" if TEXT[position] == "A" else "A"
        with pytest.raises(Unauthenticated):
            rules.KeyText.parse(TEXT[:position] + other + TEXT[position + 1 :], "test")


@given(st.text() | st.from_regex(r"cdk_test_[0-9A-Za-z]{43}_[0-9A-Za-z]{49}", fullmatch=True))
def test_junk_is_refused(junk: str) -> None:
    with pytest.raises(Unauthenticated):
        rules.KeyText.parse(junk, "test")


@pytest.mark.parametrize(
    "text",
    ["", TEXT + "\n", " " + TEXT, TEXT + "A", TEXT[:-1], TEXT.upper(), TEXT.replace("_", "-")],
)
def test_a_key_with_something_about_it_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        rules.KeyText.parse(text, "test")


def test_a_number_too_large_for_its_bytes_is_refused() -> None:
    head = f"cdk_test_{'z' * 43}_{'z' * 43}"
    with pytest.raises(Unauthenticated):
        rules.KeyText.parse(head + tokentext.checksum(head), "test")


def test_another_environments_key_is_refused_in_the_same_words() -> None:
    with pytest.raises(Unauthenticated) as other:
        rules.KeyText.parse(KEY.format("prod"), "test")
    with pytest.raises(Unauthenticated) as junk:
        rules.KeyText.parse("junk", "test")
    assert str(other.value) == str(junk.value)


@pytest.mark.parametrize("environment", ["", "Test", "a_b", "a" * 17, "ünder", "test1"])
def test_an_environment_that_would_break_a_key_is_a_wrong_setting(environment: str) -> None:
    with pytest.raises(ConfigurationError, match="environment"):
        KEY.format(environment)


def test_only_the_secret_matches_its_hash() -> None:
    assert KEY.matches(KEY.hash)
    other = rules.KeyText(KEY.tenant_id, KEY.id, bytes(32))
    assert not other.matches(KEY.hash)
    assert KEY.secret not in KEY.hash


@pytest.mark.parametrize(
    ("expires", "revoked", "live"),
    [
        (None, None, True),
        (timedelta(seconds=1), None, True),
        (timedelta(0), None, False),
        (timedelta(seconds=-1), None, False),
        (None, timedelta(hours=-1), False),
        (timedelta(hours=1), timedelta(hours=-1), False),
    ],
)
def test_a_key_lives_until_it_expires_or_is_revoked(
    *, expires: timedelta | None, revoked: timedelta | None, live: bool
) -> None:
    expires_at = None if expires is None else NOW + expires
    revoked_at = None if revoked is None else NOW + revoked
    assert rules.is_live(now=NOW, expires_at=expires_at, revoked_at=revoked_at) is live
