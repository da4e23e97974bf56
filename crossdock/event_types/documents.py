"""A JSON Schema as a document with places in it, for comparing two of them. Pure.

Numbers are exact (integers and decimals), and two values are the same where JSON Schema says so:
`1` is `1.0`, `true` is not `1`.
"""

from collections.abc import Iterator
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import msgspec

from crossdock.errors import Invalid, Violation
from crossdock.validation import pointer

Schema: TypeAlias = dict[str, Any] | bool

_PLAIN_EXPONENT: Final = 400
"""A double has no larger one: such numbers are left as they were written."""
_EXACTLY: Final = Context(prec=100_000)
"""More digits than a schema has bytes."""
_decoder: Final = msgspec.json.Decoder(float_hook=Decimal)
_SAYS_NOTHING: Final = frozenset(
    {
        "$comment",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "default",
        "deprecated",
        "description",
        "examples",
        "format",
        "readOnly",
        "title",
        "writeOnly",
    }
)
"""Keywords that refuse nothing."""
_ONE: Final = frozenset(
    {
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED: Final = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)
_REFERS: Final = ('"$ref"', '"$dynamicRef"', '"$recursiveRef"')


def parse(text: str) -> Any:
    """Return JSON text as plain objects, its numbers exact.

    Raises:
        Invalid: it is no JSON, or too deep; the pointer is the document's.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, InvalidOperation) as error:
        raise Invalid(None, Violation("", "This is not JSON.")) from error


def canonical(value: Any) -> str:
    """Return a text that two values share where JSON Schema takes them for the same."""
    if isinstance(value, dict):
        members = (f"{_plain(name)}:{canonical(value[name])}" for name in sorted(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, Decimal):
        return _number(value)
    return _plain(value)


def bare(schema: Any) -> Any:
    """Return a schema without what refuses nothing: texts for people, formats."""
    if not isinstance(schema, dict):
        return schema
    found = {}
    for name, value in schema.items():
        if name in _ONE:
            found[name] = bare(value)
        elif name in _LIST and isinstance(value, list):
            found[name] = [bare(one) for one in value]
        elif name in _NAMED and isinstance(value, dict):
            found[name] = {inner: bare(one) for inner, one in value.items()}
        elif name not in _SAYS_NOTHING:
            found[name] = value
    return found


class Node:
    """A schema at its place: the unit of comparison."""

    __slots__ = ("_text", "document", "place", "schema", "size")

    def __init__(self, document: "Document", place: str, schema: Schema) -> None:
        self.document: Final = document
        self.place: Final = place
        """A JSON pointer into the document."""
        self.schema: Final = schema
        self.size: Final = _size(schema)
        """How many members it has, and those have."""
        self._text: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Tells it apart from all others of a comparison."""
        return self.document.name, self.place

    @property
    def text(self) -> str:
        """The schema as text that equal ones share."""
        if self._text is None:
            self._text = canonical(self.schema)
        return self._text

    @property
    def is_closed(self) -> bool:
        """Whether it says all by itself, and refers to nothing."""
        return not any(word in self.text for word in _REFERS)

    def get(self, keyword: str) -> Any:
        """Return what a keyword says, or `None` where it is not there."""
        return self.schema.get(keyword) if isinstance(self.schema, dict) else None

    def at(self, *steps: str | int) -> str:
        """Return the pointer to what is below."""
        return self.place + pointer(*steps)

    def below(self, *steps: str | int) -> "Node":
        """Return the schema that is found below; `true` where what is there is none."""
        found: Any = self.schema
        for step in steps:
            found = found[step]
        schema = found if isinstance(found, dict | bool) else True
        return self.document.node(self.at(*steps), schema)

    def each(self, keyword: str) -> Iterator["Node"]:
        """Yield the schemas of a keyword that has a list of them."""
        found = self.get(keyword)
        for index in range(len(found) if isinstance(found, list) else 0):
            yield self.below(keyword, index)

    def named(self, keyword: str) -> dict[str, "Node"]:
        """Return the schemas of a keyword that has an object of them."""
        found = self.get(keyword)
        names = found if isinstance(found, dict) else ()
        return {name: self.below(keyword, name) for name in names}

    def one(self, keyword: str) -> "Node | None":
        """Return the schema of a keyword, or `None` where it has none."""
        found = self.get(keyword)
        return self.below(keyword) if isinstance(found, dict | bool) else None

    def target(self) -> "Node | None":
        """Return what its `$ref` leads to, or `None`: elsewhere, or to nothing that is a schema."""
        reference = self.get("$ref")
        return self.document.resolve(reference) if isinstance(reference, str) else None


class Document:
    """A whole schema."""

    def __init__(self, name: str, root: Any) -> None:
        """Take a parsed schema.

        Args:
            name: another than that of the document it is compared with.
            root: as `parse` returned it, or bare.
        """
        self.name: Final = name
        self.root: Final = Node(self, "", root if isinstance(root, dict | bool) else True)
        self._nodes: dict[str, Node] = {"": self.root}
        self.has_resources: Final = any(_embedded(self.root.schema))
        """Whether parts of it have addresses of their own, by which references may mean others."""

    def node(self, place: str, schema: Schema) -> Node:
        """Return the node of a place, always the same one."""
        found = self._nodes.get(place)
        if found is None:
            found = self._nodes[place] = Node(self, place, schema)
        return found

    def resolve(self, reference: str) -> Node | None:
        """Return the schema that a reference within this document names."""
        if reference == "#":
            return self.root
        if not reference.startswith("#/"):
            return None
        found: Any = self.root.schema
        place = unquote(reference[1:])
        for step in place[1:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                return None
        return self.node(place, found) if isinstance(found, dict | bool) else None


def _size(schema: Schema) -> int:
    values = schema.values() if isinstance(schema, dict) else ()
    return 1 + sum(1 + (len(one) if isinstance(one, dict | list) else 0) for one in values)


def made(schema: dict[str, Any]) -> Node:
    """Return a schema that is part of no document: what is known besides."""
    text = canonical(schema)
    return Document(f"made {text}", schema).root


def _embedded(schema: Any, depth: int = 0) -> Iterator[bool]:
    """Yield for each part below that has an address of its own."""
    if isinstance(schema, dict):
        if depth and isinstance(schema.get("$id"), str):
            yield True
        for value in schema.values():
            yield from _embedded(value, depth + 1)
    elif isinstance(schema, list):
        for value in schema:
            yield from _embedded(value, depth + 1)


def _number(value: Decimal) -> str:
    """Return a number's text: that of an integer for what is one."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or abs(value.adjusted()) > _PLAIN_EXPONENT:
        return str(value.normalize(_EXACTLY))
    if value == value.to_integral_value():
        return str(int(value))
    return str(value.normalize(_EXACTLY))


def _plain(value: Any) -> str:
    return msgspec.json.encode(value).decode()
