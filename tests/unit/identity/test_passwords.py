"""Passwords: how long, how obvious, and whether thieves have them already."""

import hashlib
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.errors import ConfigurationError, Invalid
from crossdock.identity.passwords import BreachedPasswords, PasswordPolicy, normalise

GOOD: Final = "correct horse battery staple"
POLICY: Final = PasswordPolicy()


def check(password: str, policy: PasswordPolicy = POLICY) -> str:
    return policy.check(password, email="ann.smith@acme.example", names=("Acme Corp", "acme-corp"))


def refusal(password: str, policy: PasswordPolicy = POLICY) -> str:
    with pytest.raises(Invalid) as error:
        check(password, policy)
    (violation,) = error.value.violations
    assert violation.pointer == "/password"
    assert not password or password not in violation.detail
    return violation.detail


def listed(path: Path, passwords: list[str], *, counts: bool = True, end: str = "\n") -> Path:
    sums = sorted(hashlib.sha1(word.encode()).hexdigest().upper() for word in passwords)  # noqa: S324
    lines = [f"{one}:{number}" if counts else one for number, one in enumerate(sums)]
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "twelve chars",
        "ün ïcödé 123",
        "密码密码密码密码密码密码",
        "x" * 256,
        "🦄" * 12,
        "my acme password",
        " leading and trailing blanks ",
    ],
)
def test_length_is_what_counts(password: str) -> None:
    assert check(password) == password


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "at least 12"),
        ("eleven char", "at least 12"),
        ("🦄" * 11, "at least 12"),
        ("u\u0308" * 11, "at least 12"),
        ("x" * 257, "at most 256"),
        ("x" * 1_000_000, "at most 256"),
        ("\ud800" * 12, "not text"),
        ("ann.smith@acme.example", "name"),
        ("ANN.SMITH@acme.example", "name"),
        ("Ann-Smith-123", "name"),
        ("annsmithannsmith", "name"),
        ("Acme Corp 2026", "name"),
        ("acmecorp!!!!", "name"),
        ("crossdock1234", "name"),
        ("CrossdockCrossdock", "name"),
    ],
)
def test_what_is_too_short_too_long_or_obvious_is_refused(password: str, words: str) -> None:
    assert words in refusal(password)


def test_it_is_the_same_however_it_was_typed() -> None:
    composed, decomposed = "ü" * 12, "u\u0308" * 12
    assert composed != decomposed
    assert check(decomposed) == check(composed) == normalise(decomposed)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_stolen_one_is_refused(tmp_path: Path, *, counts: bool, end: str) -> None:
    stolen = [f"stolen password {number}" for number in range(1000)]
    policy = PasswordPolicy(listed(tmp_path / "list", stolen, counts=counts, end=end))
    for password in stolen:
        assert "stolen" in refusal(password, policy)
    for number in range(1000):
        assert check(f"fresh password {number}", policy)


@settings(deadline=None)  # a busy machine
@given(words=st.sets(st.text(max_size=8), max_size=40), other=st.text(max_size=8))
def test_a_search_finds_what_is_there_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, words: set[str], other: str
) -> None:
    path = listed(tmp_path_factory.mktemp("lists") / "list", list(words))
    breached = BreachedPasswords(path)
    assert all(word in breached for word in words)
    assert (other in breached) is (other in words)


def test_a_list_without_a_last_line_break_is_one_too(tmp_path: Path) -> None:
    stolen = ["one", "two", "three"]
    path = listed(tmp_path / "list", stolen)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert all(word in BreachedPasswords(path) for word in stolen)
    assert "four" not in BreachedPasswords(path)


def test_an_empty_list_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.touch()
    assert "one" not in BreachedPasswords(path)
    assert 1 not in BreachedPasswords(path)


def test_what_is_no_list_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="list"):
        PasswordPolicy(tmp_path / "list")
    (tmp_path / "list").write_text("password\n123456\n")
    with pytest.raises(ConfigurationError, match="SHA-1"):
        PasswordPolicy(tmp_path / "list")


def test_the_pointer_is_the_callers() -> None:
    with pytest.raises(Invalid) as error:
        POLICY.check("short", email="", pointer="/new_password")
    assert error.value.violations[0].pointer == "/new_password"
