"""From what msgspec says is wrong to where the sender finds it: RFC 6901 JSON pointers."""

import re
from typing import Any, Final, TypeVar

import msgspec

from crossdock.errors import Invalid, Violation

T = TypeVar("T")

_MESSAGE: Final = re.compile(r"(?P<detail>.*?)(?: - at `\$?(?P<path>[^`]*)`)?", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_FIELD: Final = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>.*)`")


def convert(value: Any, declared: type[T]) -> T:
    """Return plain objects as an instance of `declared`.

    Raises:
        Invalid: they break a rule of the type; the pointer says where.
    """
    try:
        return msgspec.convert(value, declared)
    except msgspec.ValidationError as error:
        raise Invalid(None, violation(str(error))) from error


def violation(message: str) -> Violation:
    """Return a message of msgspec's as a violation.

    A value of a mapping has no name in such a message; the pointer is then the mapping's.
    """
    match = _MESSAGE.fullmatch(message)
    if match is None:
        return Violation("", message)
    steps = [name or index for name, index in _STEP.findall(match["path"] or "")]
    if field := _FIELD.fullmatch(match["detail"]):
        steps.append(field["name"])
    return Violation(pointer(*(step for step in steps if step != "...")), f"{match['detail']}.")


def pointer(*steps: str | int) -> str:
    """Return the JSON pointer of these steps."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
