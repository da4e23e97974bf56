"""E-mail addresses: what is one, and which are the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.errors import Invalid
from crossdock.identity import emails


@pytest.mark.parametrize(
    ("typed", "normalised"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann@Example.COM", "ann@example.com"),
        ("ann+tag@example.com", "ann+tag@example.com"),
        ("ann@BÜCHER.example", "ann@bücher.example"),
        ("ann@xn--bcher-kva.example", "ann@bücher.example"),
        ("jo\u0308rg@example.com", "j\u00f6rg@example.com"),
        ("ann@mail.test", "ann@mail.test"),
    ],
)
def test_all_spellings_of_an_address_are_one(typed: str, normalised: str) -> None:
    assert emails.normalise(typed) == normalised
    assert emails.normalise(normalised) == normalised
    assert emails.hash_of(emails.normalise(typed)) == emails.hash_of(normalised)


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "ann@@example.com",
        "ann@example",
        "ann@localhost",
        "ann@[127.0.0.1]",
        "ann@example..com",
        "ann@-example.com",
        ".ann@example.com",
        "ann @example.com",
        " ann@example.com",
        "ann@example.com\n",
        "ann@example.com\r\nBcc: all@example.com",
        "Ann <ann@example.com>",
        '"ann smith"@example.com',
        "ann@example.com,bob@example.com",
        "ann\0@example.com",
        "a" * 65 + "@example.com",
        "a@" + "b" * 250 + ".com",
        "a" * 1_000_000 + "@example.com",
        "\ud800@example.com",
        "=?utf-8?q?ann?=@example.com",
        "ann=?@example.com",
    ],
)
def test_what_no_letter_could_be_sent_to_is_refused(junk: str) -> None:
    with pytest.raises(Invalid) as error:
        emails.normalise(junk, pointer="/people/0/email")
    (violation,) = error.value.violations
    assert violation.pointer == "/people/0/email"
    assert violation.detail


@settings(deadline=None)  # a busy machine
@given(st.text(max_size=300) | st.text(max_size=20).map(lambda text: f"{text}@example.com"))
def test_nothing_else_is_raised(junk: str) -> None:
    try:
        found = emails.normalise(junk)
    except Invalid:
        return
    assert emails.normalise(found) == found


def test_a_hash_keeps_no_address() -> None:
    assert len(emails.hash_of("ann@example.com")) == 32
    assert emails.hash_of("ann@example.com") != emails.hash_of("bob@example.com")
