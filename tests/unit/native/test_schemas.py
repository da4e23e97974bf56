"""JSON Schemas that strangers wrote, and bodies that strangers sent."""

import json  # noqa: TID251 # schemas are written by hand here, and some bodies are no JSON
from typing import Any

import pytest

from crossdock.native import Schema, SchemaError, Schemas

KIB = 1024
INLINE = 512 * KIB
TOO_MUCH = "it takes too much work to hold the body to its schema"


def schema(**keywords: Any) -> Schema:
    return Schema(json.dumps(keywords).encode())


def refusal(text: object) -> tuple[str, str]:
    with pytest.raises(SchemaError) as caught:
        Schema(text if isinstance(text, bytes) else json.dumps(text).encode())
    pointer, reason = caught.value.args
    return pointer, reason


def filled(item: str, size: int = INLINE) -> bytes:
    """An array of as many of these as the size has room for."""
    count = size // (len(item) + 1) - 1
    return f"[{','.join([item] * count)}]".encode()


# What is taken.


@pytest.mark.parametrize(
    ("text", "pointer", "word"),
    [
        (b"", "", "not JSON"),
        (b"{", "", "not JSON"),
        (b"\xff", "", "not JSON"),
        (b'{"maximum": 1e400}', "", "not JSON"),
        (b"[]", "", "type"),
        (b'"x"', "", "type"),
        ({"type": "text"}, "/type", "anyOf"),
        ({"properties": {"a": {"minLength": -1}}}, "/properties/a/minLength", "minimum"),
        ({"allOf": []}, "/allOf", "item"),
        ({"$ref": "https://example.com/other.json"}, "/$ref", "nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, "/$ref", "nothing is fetched"),
        ({"$ref": "#/nowhere"}, "/$ref", "nowhere"),
        ({"$ref": "#"}, "", "leads back to itself"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", "2020-12"),
        ({"$defs": {"a": {"$id": "https://example.com/a"}}}, "/$defs/a/$id", "$id"),
        ({"$anchor": "a", "items": {"$anchor": "a"}}, "/items/$anchor", "twice"),
        ({"pattern": "(?=a)"}, "/pattern", "lookaround"),
        ({"pattern": r"(a)\1"}, "/pattern", "back-reference"),
        ({"pattern": "("}, "/pattern", "regular expression"),
        ({"pattern": "a" * 1001}, "/pattern", "1000 bytes"),
        ({"pattern": "((x{100}){100}){100}"}, "/pattern", "too large"),
        ({"pattern": "[01]*1[01]{900}$"}, "/pattern", "ambiguous"),
        ({"patternProperties": {"(?!a)": True}}, "/patternProperties", "lookaround"),
        ({"enum": list(range(2001))}, "/enum", "2000 values"),
        ({"description": "x" * 64 * KIB}, "", "65536 bytes"),
    ],
    ids=lambda value: str(value)[:40].replace("\x00", ""),
)
def test_a_schema_that_is_not_taken_says_where_and_why(
    text: object, pointer: str, word: str
) -> None:
    where, why = refusal(text)

    assert where == pointer
    assert word in why


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_a_bomb_of_references_is_refused(keyword: str) -> None:
    levels: dict[str, Any] = {
        f"d{level}": {keyword: [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(25)
    }

    _, why = refusal({"$defs": levels | {"d25": {}}, "$ref": "#/$defs/d0"})

    assert "at most 10000 schemas" in why


def test_a_bomb_of_properties_that_are_tracked_is_refused() -> None:
    tracked = {"$ref": "#/$defs/all", "unevaluatedProperties": False}

    _, why = refusal(
        {
            "$defs": {"all": {"allOf": [{"properties": {f"k{n}": {}}} for n in range(900)]}},
            "properties": {f"p{n}": tracked for n in range(100)},
        }
    )

    assert "at most 10000 schemas" in why


@pytest.mark.parametrize("depth", [65, 200, 100_000])
def test_a_schema_nests_at_most_64_levels(depth: int) -> None:
    _, why = refusal((b'{"not":' * depth + b"{}" + b"}" * depth)[: 64 * KIB])

    assert why


def test_trees_are_taken() -> None:
    tree = schema(
        properties={"name": {"type": "string"}, "children": {"items": {"$ref": "#"}}},
        required=["name"],
    )

    assert tree.validate(b'{"name":"a","children":[{"name":"b","children":[]}]}') == []
    assert tree.validate(b'{"name":"a","children":[{"name":"b","children":[{}]}]}') == [
        ("/children/0/children/0", 'the property "name" is missing')
    ]


def test_formats_are_notes_and_nothing_is_held_to_them() -> None:
    assert schema(format="email").validate(b'"no address"') == []


# What is said.


@pytest.mark.parametrize(
    ("keywords", "body", "said"),
    [
        ({"type": "object"}, "3", ("", "3 is not of type object")),
        ({"type": ["object", "null"]}, "3", ("", "3 is not of type null or object")),
        ({"properties": {"a/b": {"const": 1}}}, '{"a/b":2}', ("/a~1b", "2 is not 1")),
        ({"required": ["x"]}, "{}", ("", 'the property "x" is missing')),
        ({"items": {"enum": ["a"]}}, '["b"]', ("/0", '"b" is none of ["a"]')),
        ({"minimum": 3}, "2", ("", "2 is less than 3")),
        ({"pattern": "^a"}, '"b"', ("", '"b" does not match the pattern "^a"')),
        ({"not": {}}, "[1]", ("", "the array fits a schema that it must not fit")),
        (
            {"properties": {}, "additionalProperties": False},
            '{"x":1,"y":2}',
            ("", 'the object has the unknown properties "x", "y"'),
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_violations_are_told(keywords: dict[str, Any], body: str, said: tuple[str, str]) -> None:
    assert schema(**keywords).validate(body.encode()) == [said]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "not JSON"),
        (b"not json", "not JSON"),
        (b"NaN", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b"[" * 129 + b"]" * 129, "128 levels"),
        (filled("0", 2_100_000), "1,000,000 values"),
    ],
    ids=["empty", "words", "nan", "bom", "bytes", "surrogate", "deep", "wide"],
)
def test_a_body_that_cannot_be_read_breaks_any_schema(body: bytes, word: str) -> None:
    [(pointer, detail)] = schema().validate(body)

    assert pointer == ""
    assert word in detail


def test_at_most_five_violations_are_told_and_of_the_payload_at_most_64_characters() -> None:
    long = "x" * 10_000

    told = schema(items={"type": "integer"}).validate(json.dumps([long] * 9).encode())
    [(pointer, detail)] = schema(properties={long: {"type": "integer"}}).validate(
        json.dumps({long: long}).encode()
    )

    assert [pointer for pointer, _ in told] == ["/0", "/1", "/2", "/3", "/4"]
    assert all(detail.count("x") <= 64 and len(detail) <= 200 for _, detail in told)
    assert pointer == ""
    assert len(detail) <= 200


# What it may cost.


def numbered(count: int) -> bytes:
    return json.dumps({f"k{n:06}": 0 for n in range(count)}).encode()


@pytest.mark.parametrize(
    ("keywords", "body"),
    [
        ({"items": {"allOf": [{"not": False}] * 4000}}, filled("0")),
        ({"items": {"allOf": [{"enum": [[n] for n in range(2000)]}]}}, filled("{}")),
        ({"items": {"oneOf": [{"type": "string"}] * 2000}}, filled("0")),
        ({"allOf": [{"uniqueItems": True}] * 200}, filled("[]")),
        (
            {"allOf": [{"contains": {"const": n}, "minContains": 0} for n in range(1000)]},
            filled("0"),
        ),
        (
            {"propertyNames": {"anyOf": [{"pattern": f"x{n}$"} for n in range(200)]}},
            numbered(40_000),
        ),
        (
            {"patternProperties": {rf"k\d*{n}$": {"type": "null"} for n in range(200)}},
            numbered(40_000),
        ),
        (
            {
                "anyOf": [
                    {"patternProperties": {f"^k{n}": {"type": "number"}}} for n in range(200)
                ],
                "unevaluatedProperties": {"type": "number"},
            },
            numbered(40_000),
        ),
        (
            {
                "anyOf": [{"contains": {"const": n}} for n in range(500)],
                "unevaluatedItems": {"type": "number"},
            },
            filled("0"),
        ),
        ({"pattern": "[01]*1[01]{30}x$"}, b'"' + b"01" * (INLINE // 2) + b'"'),
        (
            {"items": {"allOf": [{"multipleOf": 1e-300 + n * 1e-302} for n in range(500)]}},
            filled("1e300"),
        ),
    ],
    ids=[
        "combinations",
        "enum",
        "branches",
        "unique",
        "contains",
        "names",
        "patterns",
        "tracked-names",
        "tracked-items",
        "ambiguous",
        "fractions",
    ],
)
def test_work_without_end_is_ended(keywords: dict[str, Any], body: bytes) -> None:
    # Counted, not timed: without its bound the least of these takes seconds.
    told = schema(**keywords).validate(body)

    assert 1 <= len(told) <= 5


def test_what_took_too_much_work_says_so() -> None:
    keywords = {"items": {"allOf": [{"not": False}] * 4000}}

    assert schema(**keywords).validate(filled("0")) == [("", TOO_MUCH)]
    assert schema(**keywords).validate(b"[0,0,0]") == []


def test_items_that_would_share_a_hash_are_still_told_apart() -> None:
    # All of the same flat content: a hash without brackets in it would be the same for all.
    def nested(left: int, right: int) -> str:
        return "[" * left + "1" + "]" * left + "," + "[" * right + "1" + "]" * right

    items = [f"[{nested(left, right)}]" for left in range(60) for right in range(60)]
    unique = schema(uniqueItems=True)

    assert unique.validate(f"[{','.join(items)}]".encode()) == []
    assert unique.validate(f"[{','.join([*items, items[7]])}]".encode()) != []


def test_a_name_that_repeats_without_end_costs_no_more_than_it_takes_to_read() -> None:
    body = b'{"a":0' + b',"a":1' * 80_000 + b"}"

    assert schema(properties={"a": {"const": 1}}, maxProperties=1).validate(body) == []


# Sets.


def test_a_set_knows_its_types() -> None:
    one = schema(type="object")
    known = Schemas([("a.b", "warn", 3, one), ("c", "off", 1, one)])

    assert len(known) == 2
    found = known.get("a.b")
    assert found is not None
    assert found[:2] == ("warn", 3)
    assert found[2].validate(b"1") == one.validate(b"1")
    assert known.get("a") is None


@pytest.mark.parametrize("mode", ["", "Warn", "drop"])
def test_a_mode_is_one_of_four(mode: str) -> None:
    with pytest.raises(ValueError, match="mode"):
        Schemas([("a", mode, 1, schema())])


def test_a_type_is_there_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Schemas([("a", "warn", 1, schema()), ("a", "off", 1, schema())])


@pytest.mark.parametrize("number", [-1, 2**32])
def test_a_version_fits_32_bits(number: int) -> None:
    with pytest.raises(OverflowError):
        Schemas([("a", "warn", number, schema())])
