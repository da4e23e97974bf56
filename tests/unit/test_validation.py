"""From what msgspec says to a JSON pointer."""

from typing import Any

import msgspec
import pytest

from crossdock.errors import Invalid
from crossdock.validation import convert, pointer, violation


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    """Something inside."""

    number: int
    names: list[str] = []


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    """Something around it."""

    inner: Inner
    rows: list[Inner] = []
    loose: dict[str, int] = {}


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({}, "/inner"),
        ([], ""),
        ({"inner": {}}, "/inner/number"),
        ({"inner": {"number": "1"}}, "/inner/number"),
        ({"inner": {"number": 1, "names": ["a", 2]}}, "/inner/names/1"),
        ({"inner": {"number": 1}, "x": 1}, "/x"),
        ({"inner": {"number": 1}, "a/b~c": 1}, "/a~1b~0c"),
        ({"inner": {"number": 1}, "rows": [{"number": 1}, {"number": None}]}, "/rows/1/number"),
        ({"inner": {"number": 1}, "rows": [{"number": 1, "y": 1}]}, "/rows/0/y"),
        ({"inner": {"number": 1}, "loose": {"a": "b"}}, "/loose"),
    ],
)
def test_the_pointer_says_where(value: Any, where: str) -> None:
    with pytest.raises(Invalid) as error:
        convert(value, Outer)
    (found,) = error.value.violations
    assert found.pointer == where
    assert "$" not in found.detail


def test_a_message_of_another_form_is_kept() -> None:
    assert violation("It is wrong") == violation("It is wrong")
    assert violation("It is wrong").pointer == ""


def test_pointers_are_escaped() -> None:
    assert pointer("a/b", 0, "~") == "/a~1b/0/~0"
