"""Random schemas and bodies: Python's `jsonschema` is the oracle, and nothing ever panics."""

import json  # noqa: TID251 # what the oracle reads
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.native import Schema, SchemaError

NAMES: Final = st.sampled_from(["a", "b", "c", "", "a/b", "~", "é"])
TYPES: Final = st.sampled_from(
    ["null", "boolean", "object", "array", "number", "string", "integer"]
)
SMALL: Final = st.integers(0, 3)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-4, 4)
    | st.sampled_from([0.5, 1.0, -1.5, 2**53 + 1, 2**64, -(2**63), 1e300])
    | st.sampled_from(["", "a", "ab", "é", "😀", "long enough", 'q"\\\n'])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas made of others."""
    some = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(NAMES, inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(values, min_size=1, max_size=3),
            "const": values,
            "minimum": st.integers(-3, 3),
            "exclusiveMaximum": st.integers(-3, 3),
            "multipleOf": st.integers(1, 3),
            "minLength": SMALL,
            "maxLength": SMALL,
            "pattern": st.sampled_from(["^a", "b$", "^[a-z]*$", "a|é"]),
            "minItems": SMALL,
            "uniqueItems": st.booleans(),
            "required": st.lists(NAMES, max_size=3, unique=True),
            "maxProperties": SMALL,
            "dependentRequired": st.dictionaries(
                NAMES, st.lists(NAMES, max_size=2, unique=True), max_size=2
            ),
            "properties": named,
            "patternProperties": st.dictionaries(
                st.sampled_from(["^a", "b", "^$"]), inner, max_size=2
            ),
            "additionalProperties": inner,
            "propertyNames": inner,
            "items": inner,
            "prefixItems": some,
            "contains": inner,
            "allOf": some,
            "anyOf": some,
            "oneOf": some,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "dependentSchemas": named,
            "unevaluatedProperties": inner,
            "unevaluatedItems": inner,
        },
    )


schemas: st.SearchStrategy[Any] = st.recursive(st.booleans() | st.just({}), combined, max_leaves=8)


@settings(max_examples=400, deadline=None)
@given(schemas, st.lists(values, min_size=1, max_size=4))
def test_verdicts_are_those_of_the_oracle(schema: Any, bodies: list[Any]) -> None:
    ours = Schema(json.dumps(schema).encode())
    oracle = jsonschema.Draft202012Validator(schema)

    for body in bodies:
        told = ours.validate(json.dumps(body).encode())
        assert (not told) is oracle.is_valid(body)
        assert len(told) <= 5
        for pointer, detail in told:
            assert 1 <= len(detail) <= 200
            assert resolves(body, pointer)


def resolves(body: Any, pointer: str) -> bool:
    """Tell whether a pointer leads to a value."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(body, list):
            body = body[int(name)]
        elif name in body:
            body = body[name]
        else:
            return False
    return True


KEYWORDS: Final = [
    *("$ref", "$dynamicRef", "$anchor", "$dynamicAnchor", "$id", "$defs", "allOf", "not", "items"),
    *("pattern", "properties", "enum", "unevaluatedProperties", "minimum", "contains", "a"),
    *("additionalProperties", "maxContains", "dependencies"),
]

odd = st.recursive(
    scalars | st.sampled_from(["#", "#a", "#/$defs/a", "#/items", "x:y", "(", "a{9}", r"\p{L}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYWORDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=400, deadline=None)
@given(odd, values)
def test_whatever_is_called_a_schema_is_refused_or_taken(schema: Any, body: Any) -> None:
    try:
        taken = Schema(json.dumps(schema).encode())
    except SchemaError as error:
        pointer, reason = error.args
        assert isinstance(pointer, str)
        assert reason
    else:
        taken.validate(json.dumps(body).encode())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\ud8dc0019eE.-+ tfn', max_size=60))
def test_bytes_of_any_kind_are_judged_as_json_judges_them(noise: bytes | str) -> None:
    body = noise if isinstance(noise, bytes) else noise.encode()
    told = Schema(b"true").validate(body)

    try:
        text = json.dumps(
            json.loads(body.decode(), parse_constant=lambda _: 1 / 0), ensure_ascii=False
        )
        text.encode()
    except (ValueError, ZeroDivisionError, RecursionError):
        assert told != []
    else:
        assert told == []
