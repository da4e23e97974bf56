"""The schemas of all bodies, as msgspec tells them, with the words that stand in our source.

A Struct's attributes are described by the strings below them, which Python forgets: they are read
from the source, once, when the document is made.
"""

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from typing import Any, Final, get_args, get_type_hints

import msgspec
from litestar.handlers import HTTPRouteHandler

from gateway import problems

TEMPLATE: Final = "#/components/schemas/{name}"
_NO_NULL: Final = r"^[^\u0000]*$"
_MOMENT: Final = {"type": "string", "format": "date-time"}

Kind = type[msgspec.Struct]


def schemas_of(handlers: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """Return the schemas of what handlers take and answer, and of problems, by their names."""
    kinds: list[Kind] = [*bodies_of(handlers).values(), problems.Problem]
    _, found = msgspec.json.schema_components(kinds, ref_template=TEMPLATE)
    for kind in _with_parts(kinds):
        _describe(kind, found[kind.__name__].get("properties", {}))
    return dict(sorted(found.items()))


def bodies_of(handlers: Iterable[HTTPRouteHandler]) -> dict[str, Kind]:
    """Return the types of all bodies, sent and answered, by their names."""
    found: dict[str, Kind] = {}
    for handler in handlers:
        signature = handler.parsed_fn_signature
        sent = signature.parameters.get("data")
        waiting = [signature.return_type] if sent is None else [signature.return_type, sent]
        while waiting:
            definition = waiting.pop()
            waiting += definition.inner_types
            kind = definition.annotation
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                found[kind.__name__] = kind
    return {name: found[name] for name in sorted(found)}


def _with_parts(kinds: Iterable[Kind]) -> Iterator[Kind]:
    """Return Structs and all that are within them, each once."""
    seen: set[Kind] = set()
    waiting: list[Any] = list(kinds)
    while waiting:
        found = waiting.pop()
        waiting += get_args(found)
        if isinstance(found, type) and issubclass(found, msgspec.Struct) and found not in seen:
            seen.add(found)
            waiting += get_type_hints(found).values()
            yield found


def _describe(kind: Kind, properties: dict[str, Any]) -> None:
    """Add to a Struct's properties what msgspec does not tell: words, and moments' format."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            texts |= _texts_of(base.__module__).get(base.__name__, {})
    hints = get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        schema = properties[field.encode_name]
        if field.name in texts:
            schema["description"] = texts[field.name]
        if datetime in {hints[field.name], *get_args(hints[field.name])}:
            for choice in schema.get("anyOf", [schema]):
                if choice.get("type") == "string":
                    choice.update(_MOMENT)
        if kind.__struct_config__.forbid_unknown_fields:
            _forbid_null(schema)


def _forbid_null(schema: dict[str, Any]) -> None:
    """Say of text that is sent that U+0000 is refused in it, as it is everywhere."""
    if schema.get("type") == "string" and not {"pattern", "enum", "format"} & schema.keys():
        schema["pattern"] = _NO_NULL
    for choice in schema.get("anyOf", ()):
        _forbid_null(choice)
    if "items" in schema:
        _forbid_null(schema["items"])


@cache
def _texts_of(module: str) -> dict[str, dict[str, str]]:
    """Return the strings below attributes in a module, by class and attribute."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return {node.name: dict(_below(node)) for node in classes}


def _below(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for attribute, text in zip(node.body, node.body[1:], strict=False):
        match attribute, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                yield name, inspect.cleandoc(words)
            case _:
                continue
