"""What is known of an instance: the schemas that all accept it, taken apart into clauses. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

from crossdock import native
from crossdock.event_types.documents import Node, canonical

KINDS: Final = frozenset({"null", "boolean", "object", "array", "string", "integer", "fraction"})
"""What an instance can be. A fraction is a number that is no integer."""
NUMBERS: Final = frozenset({"integer", "fraction"})

_NAMED: Final = {name: frozenset({name}) for name in KINDS - NUMBERS} | {
    "integer": frozenset({"integer"}),
    "number": NUMBERS,
}
_OF: Final = {
    type(None): "null",
    bool: "boolean",
    dict: "object",
    list: "array",
    str: "string",
    int: "integer",
}
_FEW: Final[dict[frozenset[str], tuple[Any, ...]]] = {
    frozenset(): (),
    frozenset({"null"}): (None,),
    frozenset({"boolean"}): (False, True),
    frozenset({"null", "boolean"}): (None, False, True),
}
MAX_VALUES: Final = 1000


def kind_of(value: Any) -> str:
    """Return what a value is, as JSON Schema counts."""
    if isinstance(value, Decimal):
        return "integer" if canonical(value).lstrip("-").isdecimal() else "fraction"
    return _OF[type(value)]


def kinds_of(node: Node) -> frozenset[str]:
    """Return what an instance of a schema can be, as far as its own keywords say."""
    if isinstance(node.schema, bool):
        return KINDS if node.schema else frozenset()
    found = KINDS
    named = node.get("type")
    if named is not None:
        names = named if isinstance(named, list) else [named]
        found = frozenset().union(*(_NAMED.get(name, KINDS) for name in names))
    values = values_of(node)
    if values is not None:
        found &= {kind_of(value) for value in values}
    return found


def values_of(node: Node) -> Sequence[Any] | None:
    """Return the values that a schema lists; `None` where it lists none."""
    schema = node.schema
    if isinstance(schema, dict):
        if "const" in schema:
            return (schema["const"],)
        if isinstance(schema.get("enum"), list):
            return tuple(schema["enum"])
    return None


class Clauses(msgspec.Struct, frozen=True):
    """All that is known of an instance: each of these schemas accepts it."""

    nodes: tuple[Node, ...]
    """None of them is `true` or `false`."""
    kinds: frozenset[str]
    """What it can be."""
    is_nothing: bool
    """Whether there is no such instance."""

    @classmethod
    def of(cls, given: Iterable[Node]) -> "Clauses":
        """Take schemas apart, and those that they consist of or lead to."""
        nodes = {node.key: node for node in _clauses(given, set())}
        kinds = KINDS
        for node in nodes.values():
            kinds &= kinds_of(node)
            branches = list(node.each("anyOf")) or list(node.each("oneOf"))
            if branches:
                kinds &= frozenset().union(*map(kinds_of, branches))
        is_nothing = not kinds or any(node.schema is False for node in nodes.values())
        taken = tuple(node for node in nodes.values() if isinstance(node.schema, dict))
        return cls(taken, kinds, is_nothing)

    @property
    def values(self) -> Sequence[Any] | None:
        """All values that the instance can have; `None` where they are many."""
        lists = [values for node in self.nodes if (values := values_of(node)) is not None]
        if lists:
            fewest = min(lists, key=len)
            few = tuple(value for value in fewest if kind_of(value) in self.kinds)
            return few if len(few) <= MAX_VALUES else None
        return _FEW.get(self.kinds)

    def has(self, wanted: Node) -> bool:
        """Tell whether a schema is one of these, or the same."""
        if any(node.key == wanted.key for node in self.nodes):
            return True
        return wanted.is_closed and any(node.text == wanted.text for node in self.nodes)

    def share(self, wanted: Node, *names: str) -> bool:
        """Tell whether some clause has the same under these keywords, and refers to nothing."""
        text = _part(wanted, names)
        return "$" not in text and any(_part(node, names) == text for node in self.nodes)

    def all(self, keyword: str) -> Iterator[Any]:
        """Yield what the clauses say under a keyword."""
        for node in self.nodes:
            found = node.get(keyword)
            if found is not None:
                yield found


def accepts(node: Node, value: Any) -> bool | None:
    """Tell whether a schema that is closed accepts a value; `None` where it can't be compiled."""
    schema = _compiled(node.text)
    return None if schema is None else not schema.validate(canonical(value).encode())


@lru_cache(maxsize=4096)
def matches(pattern: str, name: str) -> bool | None:
    """Tell whether a property's name matches a pattern, by the engine that will have to say so."""
    schema = _compiled(canonical({"patternProperties": {pattern: False}}))
    return None if schema is None else bool(schema.validate(canonical({name: None}).encode()))


@lru_cache(maxsize=64)
def _compiled(text: str) -> native.Schema | None:
    try:
        return native.Schema(text.encode())
    except (native.SchemaError, UnicodeEncodeError):
        return None


def _clauses(given: Iterable[Node], seen: set[tuple[str, str]]) -> Iterator[Node]:
    for node in given:
        if node.key in seen:
            continue
        seen.add(node.key)
        yield node
        yield from _clauses(node.each("allOf"), seen)
        if (target := node.target()) is not None:
            yield from _clauses((target,), seen)


def _part(node: Node, names: Sequence[str]) -> str:
    return canonical({name: node.get(name) for name in names})
