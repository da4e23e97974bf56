"""Pairs of schemas that differ a little, and documents that they may tell apart."""

import copy
import random
from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

NAMES: Final = ("a", "b", "ab")
NUMBERS: Final = (-1, 0, 0.5, 1, 2, 2.0, 3, 4)
TEXTS: Final = ("", "a", "ab", "b", "abc", "ä")
PATTERNS: Final = ("^a", "b$", "^a?$", "a")
TYPES: Final = ("null", "boolean", "object", "array", "string", "integer", "number")

Random = random.Random


def document(rng: Random, depth: int = 3) -> Any:
    """Return a document of few words, so that schemas of the same words often fit."""
    kind = rng.randrange(9 if depth else 6)
    if kind < 2:
        return rng.choice(TEXTS)
    if kind < 4:
        return rng.choice(NUMBERS)
    if kind < 6:
        return rng.choice((None, True, False))
    if kind < 8:
        names = rng.sample(NAMES, rng.randrange(len(NAMES) + 1))
        return {name: document(rng, depth - 1) for name in names}
    return [document(rng, depth - 1) for _ in range(rng.randrange(4))]


def schema(rng: Random, depth: int = 3) -> Any:
    """Return a schema of a few keywords."""
    if rng.random() < 0.08:
        return rng.random() < 0.7
    made: dict[str, Any] = {}
    for _ in range(rng.randrange(1, 4)):
        name = rng.choice(_BELOW if depth and rng.random() < 0.6 else _PLAIN)
        made[name] = _KEYWORDS[name](rng, depth - 1)
    if rng.random() < 0.5:
        made["type"] = _type(rng, depth)
    return made


def whole(rng: Random) -> Any:
    """Return a schema with definitions, which may lead to each other and to themselves."""
    made = schema(rng)
    if not isinstance(made, dict):
        return made
    made["$defs"] = {name: schema(rng, 2) for name in ("x", "y")}
    return made


def changed(rng: Random, before: Any) -> Any:
    """Return a schema with a change or two somewhere in it."""
    after = copy.deepcopy(before)
    for _ in range(rng.randrange(1, 3)):
        after = _change(rng, after)
    return after


def pair(seed: int) -> tuple[Any, Any, Random]:
    """Return two schemas, and what documents for them are drawn from."""
    rng = Random(seed)
    before = whole(rng)
    return before, changed(rng, before), rng


pairs = st.builds(pair, st.integers(0, 2**64))


def _change(rng: Random, value: Any) -> Any:
    """Change one place: a number a little, a list or an object by a member, or all of it."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        if rng.random() < 0.15:
            del value[name]
        elif rng.random() < 0.15 and "$ref" not in value:
            value.update({name: made for name, made in _some(rng).items() if name not in value})
        else:
            value[name] = _change(rng, value[name])
        return value
    if isinstance(value, list) and value and rng.random() < 0.9:
        index = rng.randrange(len(value))
        if rng.random() < 0.3 and len(value) > 1:
            del value[index]
        elif rng.random() < 0.3:
            value.append(copy.deepcopy(rng.choice(value)))
        else:
            value[index] = _change(rng, value[index])
        return value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return max(0, value + rng.choice((-1, 1)))
    if isinstance(value, str):
        return rng.choice((*TYPES, *NAMES, "#/$defs/x", "#/$defs/y"))
    return value


def _some(rng: Random) -> dict[str, Any]:
    found = schema(rng, 1)
    return found if isinstance(found, dict) else {}


def _type(rng: Random, _: int) -> Any:
    return rng.choice(TYPES) if rng.random() < 0.7 else rng.sample(TYPES, 2)


def _named(names: tuple[str, ...]) -> Callable[[Random, int], Any]:
    return lambda rng, depth: {
        name: schema(rng, depth) for name in rng.sample(names, rng.randrange(1, 3))
    }


def _list(rng: Random, depth: int) -> Any:
    return [schema(rng, depth) for _ in range(rng.randrange(1, 4))]


def _size(rng: Random, _: int) -> Any:
    return rng.randrange(4)


def _number(rng: Random, _: int) -> Any:
    return rng.choice(NUMBERS)


_PLAIN_KEYWORDS: Final[dict[str, Callable[[Random, int], Any]]] = {
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _size),
    **dict.fromkeys(("minProperties", "maxProperties", "minContains", "maxContains"), _size),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    "multipleOf": lambda rng, _: rng.choice((0.5, 1, 2, 4)),
    "type": _type,
    "const": lambda rng, _: document(rng, 1),
    "enum": lambda rng, _: [document(rng, 1) for _ in range(rng.randrange(1, 5))],
    "pattern": lambda rng, _: rng.choice(PATTERNS),
    "required": lambda rng, _: rng.sample(NAMES, rng.randrange(1, 3)),
    "uniqueItems": lambda rng, _: rng.random() < 0.7,
    "dependentRequired": lambda rng, _: {rng.choice(NAMES): [rng.choice(NAMES)]},
    "$ref": lambda rng, _: rng.choice(("#/$defs/x", "#/$defs/y", "#")),
}
_SCHEMA_KEYWORDS: Final[dict[str, Callable[[Random, int], Any]]] = {
    **dict.fromkeys(("properties", "dependentSchemas"), _named(NAMES)),
    "patternProperties": _named(PATTERNS),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _list),
    **dict.fromkeys(("not", "if", "then", "else", "contains"), schema),
    **dict.fromkeys(("additionalProperties", "propertyNames", "items"), schema),
    **dict.fromkeys(("unevaluatedProperties", "unevaluatedItems"), schema),
}
_KEYWORDS: Final = _PLAIN_KEYWORDS | _SCHEMA_KEYWORDS
_PLAIN: Final = tuple(_PLAIN_KEYWORDS)
_BELOW: Final = (*_SCHEMA_KEYWORDS, "properties", "additionalProperties", "items", "anyOf")
