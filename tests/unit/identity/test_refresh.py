"""Refresh tokens: their text, and which follows which."""

import base64
import os
import re
import string
import uuid
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.access import rules
from crossdock.errors import ConfigurationError, Unauthenticated
from crossdock.identity.refresh import RefreshToken, Successors

KEY: Final = bytes(range(32))
SUCCESSORS: Final = Successors(KEY)
TOKENS: Final = st.builds(
    RefreshToken,
    tenant_id=st.uuids(),
    id=st.uuids(),
    secret=st.binary(min_size=32, max_size=32),
)


@given(TOKENS, st.text(string.ascii_lowercase, min_size=1, max_size=16))
def test_what_is_made_can_be_read(token: RefreshToken, environment: str) -> None:
    text = token.format(environment)
    assert re.fullmatch(r"cdr_[a-z]+_[0-9A-Za-z]{43}_[0-9A-Za-z]{49}", text)
    assert RefreshToken.parse(text, environment) == token


@given(TOKENS)
def test_it_is_no_api_key_and_no_other_environments_token(token: RefreshToken) -> None:
    text = token.format("test")
    with pytest.raises(Unauthenticated):
        RefreshToken.parse(text, "prod")
    with pytest.raises(Unauthenticated):
        rules.KeyText.parse(text, "test")
    with pytest.raises(Unauthenticated):
        RefreshToken.parse("cdk" + text[3:], "test")


@given(TOKENS, TOKENS)
def test_each_has_one_successor_that_nobody_else_has(
    token: RefreshToken, other: RefreshToken
) -> None:
    successor = SUCCESSORS.of(token)
    assert successor == SUCCESSORS.of(token) == Successors(KEY).of(token)
    assert (successor.tenant_id, successor.id) == (token.tenant_id, token.id)
    assert successor.secret != token.secret
    assert successor.hash != token.hash
    if (other.id, other.secret) != (token.id, token.secret):
        assert SUCCESSORS.of(other).secret != successor.secret
    assert Successors(bytes(32)).of(token).secret != successor.secret


def test_a_line_of_successors_does_not_come_back() -> None:
    token = RefreshToken.new(uuid.UUID(int=1), uuid.UUID(int=2))
    seen = set()
    for _ in range(1000):
        seen.add(token.secret)
        token = SUCCESSORS.of(token)
    assert len(seen) == 1000


def test_the_first_ones_differ() -> None:
    tokens = [RefreshToken.new(uuid.UUID(int=1), uuid.UUID(int=2)) for _ in range(100)]
    assert len({token.secret for token in tokens}) == 100


def test_secrets_are_in_no_text_of_an_object() -> None:
    token = RefreshToken(uuid.UUID(int=1), uuid.UUID(int=2), b"s" * 32)
    assert "sss" not in repr(token)
    assert repr(SUCCESSORS) == "Successors(***)"


def test_its_key_comes_from_the_settings_and_is_not_the_one_that_seals() -> None:
    text = base64.b64encode(KEY).decode()
    token = RefreshToken(uuid.UUID(int=1), uuid.UUID(int=2), os.urandom(32))
    assert Successors.from_text(text, setting="IT").of(token) == SUCCESSORS.of(token)
    assert SUCCESSORS._key != KEY
    for wrong in (None, "", "AAAA", "no base64!"):
        with pytest.raises(ConfigurationError, match="IT"):
            Successors.from_text(wrong, setting="IT")
