"""What the keywords without schemas below them need in proof. Pure."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from crossdock.event_types.claims import (
    KINDS,
    NUMBERS,
    Clauses,
    kinds_of,
    values_of,
)
from crossdock.event_types.documents import Node, canonical

Kind = Literal["breaking", "unknown"]
Against: TypeAlias = Iterator[tuple[str, Kind, str]]
"""Where, how sure, and what is refused."""
Number: TypeAlias = int | Decimal

_SHOWN: Final = 64
_EXACT: Final = 2**53
"""Integers up to here are exact in every arithmetic."""

_NEVER_JUDGED: Final = (
    "$dynamicRef",
    "$recursiveRef",
    "additionalItems",
    "dependencies",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_LEAST: Final = {
    "minLength": ("string", "strings shorter than"),
    "minItems": ("array", "arrays shorter than"),
    "minProperties": ("object", "objects with fewer properties than"),
}
_MOST: Final = {
    "maxLength": ("string", "strings longer than"),
    "maxItems": ("array", "arrays longer than"),
    "maxProperties": ("object", "objects with more properties than"),
}


def simple(clauses: Clauses, wanted: Node) -> Against:
    """Yield what stands against a schema's keywords that have no schemas below them."""
    for look in (_types, _values, _sizes, _bounds, _strings, _required, _rest):
        yield from look(clauses, wanted)


def type_names(kinds: frozenset[str]) -> list[str]:
    """Return the names of types that cover these kinds."""
    found = set(kinds - NUMBERS)
    if kinds & NUMBERS:
        found.add("number" if "fraction" in kinds else "integer")
    return sorted(found)


def exclude_each_other(branches: Sequence[Node]) -> bool:
    """Tell whether no instance is accepted by two of these, as far as their own keywords say.

    They are told apart by their types, or by a property that all require, with values of its own
    in each.
    """
    branches = [one.target() or one for one in branches]
    kinds = [kinds_of(one) for one in branches]
    if sum(map(len, kinds)) == len(frozenset().union(*kinds)):
        return True
    if any(one != frozenset({"object"}) for one in kinds):
        return False
    required = [frozenset(_texts(one.get("required"))) for one in branches]
    return any(_tells_apart(name, branches) for name in frozenset.intersection(*required))


def shown(value: Any) -> str:
    """Return a value for people, cut short."""
    text = canonical(value)
    return f"`{text}`" if len(text) <= _SHOWN else f"`{text[:_SHOWN]}…`"


def number(value: Any) -> Number | None:
    """Return what is a number, and `None` for all else."""
    return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _tells_apart(name: str, branches: Sequence[Node]) -> bool:
    seen: set[str] = set()
    for branch in branches:
        node = branch.named("properties").get(name)
        values = None if node is None else values_of(node)
        if values is None:
            return False
        texts = set(map(canonical, values))
        if seen & texts:
            return False
        seen |= texts
    return True


def _types(clauses: Clauses, wanted: Node) -> Against:
    if wanted.get("type") is None:
        return
    allowed = kinds_of_type(wanted)
    refused = clauses.kinds - allowed
    if refused:
        missing = [
            "fractions" if one == "fraction" else f"values of type {one}" for one in sorted(refused)
        ]
        if refused == KINDS - allowed and len(refused) > 1:
            missing = [f"all but values of type {' or '.join(type_names(allowed))}"]
        yield wanted.at("type"), "breaking", ", ".join(missing)


def kinds_of_type(node: Node) -> frozenset[str]:
    """Return what the keyword `type` allows."""
    found = Node(node.document, "", {"type": node.get("type")})
    return kinds_of(found)


def _values(clauses: Clauses, wanted: Node) -> Against:
    """Look at `const` and `enum`, one by one: a schema may have both."""
    schema = wanted.schema if isinstance(wanted.schema, dict) else {}
    lists = {"const": [schema["const"]]} if "const" in schema else {}
    if isinstance(schema.get("enum"), list):
        lists["enum"] = schema["enum"]
    for keyword, values in lists.items():
        allowed = set(map(canonical, values))
        before = clauses.values
        if before is None:
            yield wanted.at(keyword), "breaking", "values that are not listed"
            continue
        for value in before:
            if canonical(value) not in allowed:
                yield wanted.at(keyword), "breaking", f"the value {shown(value)}"


def _sizes(clauses: Clauses, wanted: Node) -> Against:
    for keyword, (kind, what) in _LEAST.items():
        bound = number(wanted.get(keyword))
        if bound is not None and bound > 0 and kind in clauses.kinds:
            proofs = [known for one in clauses.all(keyword) if (known := number(one)) is not None]
            if keyword == "minProperties":
                proofs.append(len(required_of(clauses)))
            if not any(known >= bound for known in proofs):
                yield wanted.at(keyword), "breaking", f"{what} {bound}"
    for keyword, (kind, what) in _MOST.items():
        bound = number(wanted.get(keyword))
        if bound is not None and kind in clauses.kinds:
            proofs = [known for one in clauses.all(keyword) if (known := number(one)) is not None]
            if not any(known <= bound for known in proofs):
                yield wanted.at(keyword), "breaking", f"{what} {bound}"


def _bounds(clauses: Clauses, wanted: Node) -> Against:
    if not clauses.kinds & NUMBERS:
        return

    def known(keyword: str) -> list[Number]:
        return [found for one in clauses.all(keyword) if (found := number(one)) is not None]

    low, over = known("minimum"), known("exclusiveMinimum")
    high, under = known("maximum"), known("exclusiveMaximum")
    checks: dict[str, tuple[str, Callable[[Number], bool]]] = {
        "minimum": ("numbers under", lambda it: any(one >= it for one in low + over)),
        "exclusiveMinimum": (
            "numbers up to",
            lambda it: any(_is_over(one, it) for one in low) or any(one >= it for one in over),
        ),
        "maximum": ("numbers over", lambda it: any(one <= it for one in high + under)),
        "exclusiveMaximum": (
            "numbers from",
            lambda it: any(_is_over(it, one) for one in high) or any(one <= it for one in under),
        ),
    }
    for keyword, (what, holds) in checks.items():
        bound = number(wanted.get(keyword))
        if bound is not None and not holds(bound):
            yield wanted.at(keyword), "breaking", f"{what} {bound}"
    step = number(wanted.get("multipleOf"))
    if step is not None and not any(_is_multiple(one, step) for one in known("multipleOf")):
        yield wanted.at("multipleOf"), "breaking", f"numbers that are no multiples of {step}"


def _is_over(one: Number, other: Number) -> bool:
    """Tell whether a number is greater, and still is where both are rounded to doubles."""
    return one > other and float(one) > float(other)


def _is_multiple(one: Number, step: Number) -> bool:
    if canonical(one) == canonical(step):
        return True
    small = isinstance(one, int) and isinstance(step, int) and 0 < step <= one < _EXACT
    return small and one % step == 0


def _strings(clauses: Clauses, wanted: Node) -> Against:
    pattern = wanted.get("pattern")
    if isinstance(pattern, str) and "string" in clauses.kinds:
        known = list(clauses.all("pattern"))
        if not known:
            yield wanted.at("pattern"), "breaking", f"strings that don't match {shown(pattern)}"
        elif pattern not in known:
            yield wanted.at("pattern"), "unknown", "`pattern`"


def required_of(clauses: Clauses) -> frozenset[str]:
    """Return the properties that an object surely has."""
    return frozenset(name for one in clauses.all("required") for name in _texts(one))


def _required(clauses: Clauses, wanted: Node) -> Against:
    if "object" not in clauses.kinds:
        return
    known = required_of(clauses)
    for index, name in enumerate(_texts(wanted.get("required"))):
        if name not in known:
            yield wanted.at("required", index), "breaking", f"objects without {shown(name)}"
    dependent = wanted.get("dependentRequired")
    for name, others in dependent.items() if isinstance(dependent, dict) else ():
        also = frozenset(
            other
            for one in clauses.all("dependentRequired")
            if isinstance(one, dict)
            for other in _texts(one.get(name))
        )
        if missing := [other for other in _texts(others) if other not in known | also]:
            what = f"objects with {shown(name)} but without {shown(missing[0])}"
            yield wanted.at("dependentRequired", name), "breaking", what


def _rest(clauses: Clauses, wanted: Node) -> Against:
    if wanted.get("uniqueItems") is True and "array" in clauses.kinds:
        few = any(n <= 1 for one in clauses.all("maxItems") if (n := number(one)) is not None)
        if not few and not any(one is True for one in clauses.all("uniqueItems")):
            yield wanted.at("uniqueItems"), "breaking", "arrays with equal items"
    for keyword in _NEVER_JUDGED:
        found = wanted.get(keyword)
        if found is not None and found is not True:
            yield wanted.at(keyword), "unknown", f"`{keyword}`"


def _texts(found: Any) -> list[str]:
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
