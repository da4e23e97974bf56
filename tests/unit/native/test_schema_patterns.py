"""What the patterns of a schema may take: those that are in use fit, those that would not don't."""

import json  # noqa: TID251 # schemas are written by hand here
from typing import Any, Final

import pytest

from crossdock.native import Schema, SchemaError

REAL: Final[list[tuple[str, str, str]]] = [
    # The pattern, what it takes, and what it does not.
    (r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$", "zoe@example.com", "zoe@example"),
    (r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "zoë@example.com", "zoë example.com"),
    (
        "^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        "0188bac7-4afa-78aa-bc3b-bd1eef28d881",
        "0188bac7-4afa-78aa-bc3b-bd1eef28d88",
    ),
    (r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", "2026-03-01", "2026-13-01"),
    (
        r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$",
        "2026-03-01T12:00:00.5+01:00",
        "2026-03-01 12:00:00",
    ),
    (r"^[\p{L} .'-]{1,200}$", "Zoë Ní D'Arcy", "x" * 201),
    (r"^[\p{L}\p{M}\p{N} .,'/-]{0,200}$", "Straße 12/3", "a\tb"),
    (r"^\p{L}[\p{L} .'-]*$", "Łukasz", " Łukasz"),
    (r"^[a-z0-9]+(?:-[a-z0-9]+)*$", "a-slug-of-5", "-a"),
    (r"^\+[1-9]\d{1,14}$", "+4915112345678", "4915112345678"),
    (r"^https?://[^\s/$.?#].[^\s]*$", "https://example.com/a?b=c", "ftp://example.com"),
    (r"^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)$", "10.0.0.1", "10.0.1"),
    (r"^#(?:[0-9a-fA-F]{3}){1,2}$", "#a1B2c3", "#a1"),
    (r"^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$", "DE89370400440532013000", "DE8937040044"),
    (r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[\w.-]+)?$", "1.0.0-rc.1", "1.0"),
    (r"^[A-Z]{3}$", "EUR", "EU"),
    (r"^-?\d{1,15}(\.\d{1,4})?$", "-403.00", "403."),
    (r"^evt_[0-9a-hjkmnp-tv-z]{26}$", "evt_01h2xcejqtf2nbrexx3vqjhp41", "evt_01"),
    (r"^[0-9a-f]{40}$", "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d", "7fd1"),
    (r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$", "aGVsbG8=", "aGVsbG8"),
    (r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$", "eyJ.eyJ.sig", "eyJ.eyJ"),
]


def compiled(keywords: Any) -> Schema:
    return Schema(json.dumps(keywords).encode())


def judged(schema: Schema, value: Any) -> bool:
    return not schema.validate(json.dumps(value).encode())


@pytest.mark.parametrize(("pattern", "good", "bad"), REAL, ids=[one[0] for one in REAL])
def test_patterns_in_use_are_taken(pattern: str, good: str, bad: str) -> None:
    schema = compiled({"pattern": pattern})

    assert judged(schema, good)
    assert not judged(schema, bad)


def test_all_of_them_fit_into_one_schema() -> None:
    properties = {f"p{n}": {"pattern": one[0]} for n, one in enumerate(REAL)}

    schema = compiled({"properties": properties})

    assert judged(schema, {f"p{n}": one[1] for n, one in enumerate(REAL)})
    assert schema.size < 512 * 1024


@pytest.mark.parametrize(
    "pattern",
    [r"^\w{1,40}x%d$", r"^\p{L}+-%d$", r"[01]*1[01]{30}%d$", r"^(a|\p{Lu}){2,4}%d$"],
    ids=["counted", "classes", "ambiguous", "both"],
)
def test_patterns_that_are_large_together_are_refused_where_they_are_too_much(
    pattern: str,
) -> None:
    every = [{"pattern": pattern % n} for n in range(199)]
    compiled({"allOf": every[:2]})

    with pytest.raises(SchemaError) as caught:
        compiled({"allOf": every})

    pointer, reason = caught.value.args
    place = int(pointer.removeprefix("/allOf/").removesuffix("/pattern"))
    assert 0 < place < 199
    assert "512 KiB together" in reason
    compiled({"allOf": every[:place]})


def test_one_pattern_that_is_too_large_alone_says_what_to_do() -> None:
    with pytest.raises(SchemaError) as caught:
        compiled({"properties": {"name": {"pattern": r"^\p{Lu}\p{Ll}{1,90}-$"}}})

    assert caught.value.args[0] == "/properties/name/pattern"
    assert "maxLength" in caught.value.args[1]


def test_a_pattern_that_repeats_is_compiled_once() -> None:
    one = {"pattern": r"^\p{L}+-$"}

    many = compiled({"allOf": [one] * 150})

    assert many.size < compiled({"allOf": [one]}).size + 20 * 150 * len(json.dumps(one)) + 10_000


def test_size_grows_with_text_and_patterns() -> None:
    plain = compiled({"type": "string", "description": "x" * 50})
    larger = compiled({"type": "string", "description": "x" * 500})
    heavy = compiled({"pattern": r"^\p{L}+-$"})

    assert 0 < plain.size < larger.size
    assert heavy.size > 40_000
    assert larger.size < 20_000
