"""The header: a structured field's string, or a bare word."""

from types import SimpleNamespace
from typing import Any

import pytest
from litestar.datastructures import Headers

from crossdock.errors import Malformed
from gateway.idempotency import key_of


def request(*values: str) -> Any:
    """Return something with headers."""
    raw = [(b"idempotency-key", value.encode("latin-1")) for value in values]
    return SimpleNamespace(headers=Headers(raw))


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        (' "abc"\t', "abc"),
        (r'"a\"b\\c"', r"a\"b\c".replace(r"\"", '"')),
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
        ('a"b', 'a"b'),
        ("~!", "~!"),
    ],
)
def test_a_key_is_read(sent: str, key: str) -> None:
    assert key_of(request(sent)) == key


@pytest.mark.parametrize(
    "sent",
    [
        "",
        '""',
        '"',
        '"abc',
        '"abc" ;a=1',
        '"abc"x',
        r'"ab\c"',
        '"ab\\',
        "a b",
        '"a b"',
        "a\tb",
        "ä",
        "\x7f",
        "x" * 256,
        '"' + "x" * 256 + '"',
    ],
)
def test_what_is_no_key_is_refused(sent: str) -> None:
    with pytest.raises(Malformed, match="Idempotency-Key"):
        key_of(request(sent))


def test_two_keys_are_none() -> None:
    with pytest.raises(Malformed, match="more than once"):
        key_of(request("a", "a"))


def test_there_need_not_be_one() -> None:
    assert key_of(request()) is None
