"""What is said of a change of a schema, case by case."""

from typing import Any

import msgspec
import pytest

from crossdock.errors import Invalid
from crossdock.event_types.compatibility import Difference, against, compare

PAIR = {"oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]}
KINDS = {
    name: {"type": "object", "required": ["kind"], "properties": {"kind": {"const": name}}}
    for name in ("a", "b", "c")
}
TREE = {"properties": {"next": {"$ref": "#"}, "value": {"type": "integer"}}, "required": ["value"]}
ANY = {"anyOf": [{"type": "null"}, {"type": "integer"}]}
MORE = {"anyOf": [*ANY["anyOf"], {"type": "string"}]}
CLOSED = {"type": "object", "additionalProperties": False}
CASES: list[tuple[str, Any, Any, str, str]] = [
    ("a type is widened", {"type": "integer"}, {"type": "number"}, "compatible", "breaking"),
    ("a type is added", {"type": "string"}, {"type": ["string", "null"]}, "compatible", "breaking"),
    ("a type is narrowed", {"type": "number"}, {"type": "integer"}, "breaking", "breaking"),
    ("required is new", {}, {"required": ["a"]}, "breaking", "breaking"),
    ("required is gone", {"required": ["a"]}, {}, "compatible", "breaking"),
    ("a value is listed too", {"enum": [1]}, {"enum": [1, 2]}, "compatible", "breaking"),
    ("a value is listed no more", {"enum": [1, 2]}, {"const": 2.0}, "breaking", "breaking"),
    ("one is no truth", {"enum": [1]}, {"enum": [True]}, "breaking", "breaking"),
    ("values fit a type", {"enum": ["a", "b"]}, {"type": "string"}, "compatible", "breaking"),
    ("a bound moves out", {"minimum": 2}, {"exclusiveMinimum": 1}, "compatible", "breaking"),
    ("a bound moves in", {"maximum": 2}, {"exclusiveMaximum": 2}, "breaking", "breaking"),
    ("exact", {"maximum": 10**30 + 1}, {"maximum": 10**30}, "breaking", "breaking"),
    ("longer", {"maxLength": 3}, {"maxLength": 4}, "compatible", "breaking"),
    ("shorter", {"minItems": 1}, {"minItems": 2}, "breaking", "breaking"),
    ("another pattern", {"pattern": "^a"}, {"pattern": "a"}, "unknown", "unknown"),
    ("a pattern", {"type": "string"}, {"type": "string", "pattern": "a"}, "breaking", "breaking"),
    ("the pattern of numbers", {"type": "integer"}, {"pattern": "a"}, "compatible", "breaking"),
    (
        "a property of an open object",
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "string"}}},
        "breaking",
        "breaking",
    ),
    (
        "a property of a closed object",
        CLOSED,
        CLOSED | {"properties": {"a": {"type": "string"}}},
        "compatible",
        "breaking",
    ),
    ("closed", {"properties": {"a": True}}, CLOSED, "breaking", "breaking"),
    ("opened", CLOSED, {"type": "object"}, "compatible", "breaking"),
    (
        "what was free is named",
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {"type": "number"}}},
        "compatible",
        "breaking",
    ),
    (
        "a name matches",
        {"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False},
        {"properties": {"x-a": {"type": "string"}, "b": {"type": "null"}}},
        "compatible",
        "breaking",
    ),
    (
        "items",
        {"items": {"type": "integer"}},
        {"prefixItems": [{"type": "number"}], "items": {"type": ["integer", "null"]}},
        "compatible",
        "breaking",
    ),
    (
        "a name that matches is none of the others",
        {"patternProperties": {"^a": True}, "additionalProperties": {"type": "null"}},
        {"properties": {"a": {"type": "null"}}},
        "breaking",
        "breaking",
    ),
    ("a place", {"prefixItems": [{}]}, {"prefixItems": [{"type": "null"}]}, "breaking", "breaking"),
    ("items of their own", {"uniqueItems": True}, {}, "compatible", "breaking"),
    ("parts of parts", {"allOf": [{"minLength": 2}]}, {"minLength": 1}, "compatible", "breaking"),
    ("one more branch", ANY, MORE, "compatible", "unknown"),
    ("branches in another order", ANY, {"anyOf": ANY["anyOf"][::-1]}, "compatible", "compatible"),
    (
        "one more kind",
        PAIR | {"$defs": KINDS},
        {"oneOf": [*PAIR["oneOf"], {"$ref": "#/$defs/c"}], "$defs": KINDS},
        "compatible",
        "unknown",
    ),
    (
        "one kind less",
        {"oneOf": [*PAIR["oneOf"], {"$ref": "#/$defs/c"}], "$defs": KINDS},
        PAIR | {"$defs": KINDS},
        "unknown",
        "unknown",
    ),
    ("types as branches", {"type": ["string", "null"]},
     {"anyOf": [{"type": "null"}, {"type": "string"}]}, "compatible", "compatible"),
    ("moved to a definition", {"properties": {"a": {"type": "null"}}},
     {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "null"}}},
     "compatible", "compatible"),
    ("a tree", TREE, TREE | {"required": []}, "compatible", "breaking"),
    ("a tree that grew stricter", TREE, TREE | {"maxProperties": 1}, "breaking", "breaking"),
    ("words for people", {"type": "null", "title": "A"}, {"type": "null", "format": "x"},
     "compatible", "compatible"),
    ("a property that is called title", {"properties": {"title": True}},
     {"properties": {"title": {"type": "null"}}}, "breaking", "breaking"),
    ("not", {"not": {"type": "integer"}}, {"not": {"const": 1}}, "compatible", "unknown"),
    ("unevaluated", {"type": "object"}, {"unevaluatedProperties": False}, "unknown", "breaking"),
    ("if", {}, {"if": {"type": "string"}, "then": {"minLength": 1}}, "unknown", "unknown"),
    ("anchors", {}, {"$ref": "#a", "$defs": {"x": {"$anchor": "a"}}}, "unknown", "unknown"),
    ("addresses", {}, {"$defs": {"a": {"$id": "b"}}, "type": "null"}, "unknown", "unknown"),
    ("nothing", {}, False, "breaking", "breaking"),
    ("everything", False, True, "compatible", "breaking"),
]  # fmt: skip


def text(schema: Any) -> str:
    return msgspec.json.encode(schema).decode()


def worst(differences: list[Difference], policy: Any) -> str:
    found = {getattr(one, policy) for one in differences}
    return next((one for one in ("breaking", "unknown") if one in found), "compatible")


@pytest.mark.parametrize(
    ("old", "new", "backward", "full"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_change(old: Any, new: Any, backward: str, full: str) -> None:
    found = compare(text(old), text(new))
    assert (worst(found, "backward"), worst(found, "full")) == (backward, full), found
    assert bool(against(found, "backward")) is (backward != "compatible")
    assert bool(against(found, "full")) is (full != "compatible")
    assert against(found, "none") == []


@pytest.mark.parametrize("schema", [case[2] for case in CASES], ids=[case[0] for case in CASES])
def test_no_change_is_no_difference(schema: Any) -> None:
    assert compare(text(schema), text(schema)) == []


def test_a_difference_is_where_it_refuses() -> None:
    old = {"type": "object", "properties": {"a/b": {"type": "integer"}}}
    new = {"type": "object", "properties": {"a/b": {"type": "integer", "minimum": 1}}}
    (forward,) = compare(text(old), text(new))
    assert forward.pointer == "/properties/a~1b/minimum"
    assert "numbers under 1" in forward.detail
    (back,) = compare(text(new), text(old))
    assert (back.pointer, back.backward, back.full) == (forward.pointer, "compatible", "breaking")


def test_what_is_too_large_to_judge_is_not_allowed() -> None:
    rules = {f"^p{number}x": {"type": "string"} for number in range(300)}
    old = {
        "patternProperties": rules,
        "properties": {f"p{n}": {"minLength": 1} for n in range(300)},
    }
    new = old | {"maxProperties": 1000}
    refused = against(compare(text(old), text(new)), "backward")
    assert "of this size" in refused[0].detail


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(Invalid):
        compare("{", "{}")
    with pytest.raises(Invalid):
        compare("{}", "[" * 100_000)
