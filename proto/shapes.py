"""Every struct that goes over NATS, with what its source says of each field."""

import ast
import inspect
from functools import cache
from types import ModuleType
from typing import Final

import msgspec

from proto import ingest, settings

MODULES: Final[tuple[ModuleType, ...]] = (ingest, settings)


def structs() -> dict[str, type[msgspec.Struct]]:
    """Return all structs by their names, in the order of their modules."""
    return {
        name: found
        for module in MODULES
        for name, found in vars(module).items()
        if isinstance(found, type)
        and issubclass(found, msgspec.Struct)
        and found.__module__ == module.__name__
        and found.__name__ == name
    }


def tag_of(struct: type[msgspec.Struct]) -> str | None:
    """Return the tag that a struct's messages carry."""
    tag = struct.__struct_config__.tag
    return None if tag is None else str(tag)


@cache
def descriptions(module: ModuleType) -> dict[tuple[str, str], str]:
    """Return the docstring below each field, by the names of struct and field."""
    found = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for field, below in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                text = inspect.cleandoc(str(below.value.value))
                found[node.name, field.target.id] = " ".join(text.split())
    return found


def description(struct: type[msgspec.Struct], field: str) -> str | None:
    """Return what a struct's source says of a field."""
    module = next(one for one in MODULES if one.__name__ == struct.__module__)
    return descriptions(module).get((struct.__name__, field))
