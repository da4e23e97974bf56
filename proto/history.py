"""What releases said on NATS, kept so that today's code can be held against it.

`python -m proto.history freeze 0.2.0` writes `proto/history/0.2.0/` when that is released:
`shapes.json`, each struct's fields and their types, and `messages.json`, encoded samples of each
with what they mean. A frozen release is never written again.
"""

import base64
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, Union

import msgspec
from msgspec import inspect

from proto import shapes

FOLDER: Final = Path(__file__).parent / "history"

_PLAIN: Final[dict[str, Any]] = {
    "bytes": bytes,
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "null": None,
}
_EXAMPLES: Final[dict[str, Callable[[int], Any]]] = {
    "bytes": lambda at: base64.b64encode(bytes([at + 1]) * 16).decode(),
    "str": lambda at: f"text {at}",
    "int": lambda at: 1_000_000 + at,
    "float": lambda at: at + 0.5,
    "bool": lambda _: True,
    "null": lambda _: None,
}
_INSPECTED: Final[dict[type[inspect.Type], str]] = {
    inspect.BytesType: "bytes",
    inspect.StrType: "str",
    inspect.IntType: "int",
    inspect.FloatType: "float",
    inspect.BoolType: "bool",
    inspect.NoneType: "null",
}


class Type(msgspec.Struct, frozen=True, omit_defaults=True):
    """A type of a field, in words that outlast the classes."""

    kind: str
    """One of the plain ones, or `list`, `tuple`, `dict`, `union`, `literal` or `struct`."""
    of: tuple["Type", ...] = ()
    """What it is made of."""
    values: tuple[str, ...] = ()
    """Of a literal."""
    name: str = ""
    """Of a struct."""


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """A field of a struct."""

    name: str
    type: Type
    optional: bool = False
    """Whether it has a default, so that a message may come without it."""


class Shape(msgspec.Struct, frozen=True, omit_defaults=True):
    """A struct, as far as the wire shows it."""

    tag: str | None
    array_like: bool
    fields: tuple[Field, ...]


class Sample(msgspec.Struct, frozen=True):
    """An encoded message, and what it said to the code that wrote it."""

    struct: str
    data: bytes
    meaning: dict[str, Any]


Shapes = dict[str, Shape]


def shapes_now() -> Shapes:
    """Return the shape of each struct of this release."""
    return {name: _shape(struct) for name, struct in shapes.structs().items()}


def samples_now() -> list[Sample]:
    """Return encoded messages of this release: of each struct the least, and ones of everything."""
    found = []
    for name, struct in shapes.structs().items():
        fields = msgspec.structs.fields(struct)
        kinds = {one.name: _type(one.type) for one in inspected(struct)}
        turns = max(len(_values(kind, 0)) for kind in kinds.values())
        for wanted in ([one for one in fields if one.required], list(fields)):
            for turn in range(turns):
                given = {}
                for at, one in enumerate(wanted):
                    values = _values(kinds[one.name], at)
                    given[one.name] = msgspec.convert(values[turn % len(values)], one.type)
                message = struct(**given)
                found.append(Sample(name, msgspec.msgpack.encode(message), meaning(message)))
    return found


def meaning(message: msgspec.Struct) -> dict[str, Any]:
    """Return what a message says, by field, as JSON has it."""
    said = {field: getattr(message, field) for field in message.__struct_fields__}
    known = {field: value for field, value in said.items() if value is not msgspec.UNSET}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(known))
    return plain


def read(version: str) -> tuple[Shapes, list[Sample]]:
    """Return what was frozen of a release."""
    folder = FOLDER / version
    return (
        msgspec.json.decode((folder / "shapes.json").read_bytes(), type=Shapes),
        msgspec.json.decode((folder / "messages.json").read_bytes(), type=list[Sample]),
    )


def versions() -> list[str]:
    """Return all releases that were frozen."""
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def rebuild(frozen: Shapes) -> dict[str, type[msgspec.Struct]]:
    """Return the structs that a release had."""
    built: dict[str, type[msgspec.Struct]] = {}

    def struct(name: str) -> type[msgspec.Struct]:
        if name not in built:
            shape = frozen[name]
            fields = [
                (field.name, _python(field.type, struct), *_default(field))
                for field in shape.fields
            ]
            built[name] = msgspec.defstruct(
                name, fields, tag=shape.tag, array_like=shape.array_like, frozen=True
            )
        return built[name]

    for name in frozen:
        struct(name)
    return built


def breaks(frozen: Shapes, now: Shapes) -> list[str]:
    """Return what would keep two releases from reading each other's messages; empty if they can."""
    found = []
    for name, old in frozen.items():
        new = now.get(name)
        if new is None:
            found.append(f"{name} is gone")
            continue
        if (old.tag, old.array_like) != (new.tag, new.array_like):
            found.append(f"{name} has another tag or layout")
        found += [f"{name}.{one}" for one in _broken_fields(old, new)]
    return found


def _broken_fields(old: Shape, new: Shape) -> Iterator[str]:
    if old.array_like and [one.name for one in old.fields] != [
        one.name for one in new.fields[: len(old.fields)]
    ]:
        yield "…: its fields are not those there were, in their order, and new ones behind them"
        return
    present = {one.name: one for one in new.fields}
    for field in old.fields:
        again = present.pop(field.name, None)
        if again is None:
            yield f"{field.name} is gone"
        elif again.type != field.type:
            yield f"{field.name} is of another type"
        elif again.optional != field.optional:
            yield f"{field.name} had {'a' if field.optional else 'no'} default"
    for added in present.values():
        if not added.optional:
            yield f"{added.name} is new and has no default"


def freeze(version: str, folder: Path = FOLDER) -> Path:
    """Write down what this release says.

    Raises:
        FileExistsError: that was done before, and what was released does not change.
    """
    target = folder / version
    target.mkdir(parents=True)
    for name, value in (("shapes", shapes_now()), ("messages", samples_now())):
        text = msgspec.json.format(msgspec.json.encode(value), indent=1)
        (target / f"{name}.json").write_bytes(text + b"\n")
    return target


def inspected(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    """Return a struct's fields with their types."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - of a struct it is
    return info.fields


def _shape(struct: type[msgspec.Struct]) -> Shape:
    return Shape(
        shapes.tag_of(struct),
        struct.__struct_config__.array_like,
        tuple(
            Field(one.encode_name, _type(one.type), optional=not one.required)
            for one in inspected(struct)
        ),
    )


def _type(found: inspect.Type) -> Type:
    plain = _INSPECTED.get(type(found))
    if plain is not None:
        return Type(plain)
    match found:
        case inspect.ListType() | inspect.VarTupleType():
            made = Type("list", (_type(found.item_type),))
        case inspect.TupleType():
            made = Type("tuple", tuple(map(_type, found.item_types)))
        case inspect.DictType():
            made = Type("dict", (_type(found.key_type), _type(found.value_type)))
        case inspect.UnionType():
            made = Type("union", tuple(sorted(map(_type, found.types), key=lambda one: one.kind)))
        case inspect.LiteralType():
            made = Type("literal", values=tuple(sorted(map(str, found.values))))
        case inspect.StructType():
            made = Type("struct", name=found.cls.__name__)
        case _:
            raise TypeError(f"The wire has no {type(found).__name__} yet: say how it is frozen.")
    return made


def _python(found: Type, struct: Any) -> Any:
    """Return the annotation of a type."""
    if found.kind in _PLAIN:
        return _PLAIN[found.kind]
    if found.kind == "struct":
        return struct(found.name)
    if found.kind == "literal":
        return Literal[found.values]
    of = tuple(_python(one, struct) for one in found.of)
    if found.kind == "union":
        return Union[of]  # noqa: UP007 - made at run time
    return {"list": list, "tuple": tuple, "dict": dict}[found.kind][of]  # type: ignore[index]


def _default(field: Field) -> tuple[Any, ...]:
    """Return a default for a field that has one; which it is, does not show on the wire."""
    return (msgspec.UNSET,) if field.optional else ()


def _values(found: Type, at: int) -> list[Any]:
    """Return values of a type, as JSON has them; `at` makes those of two fields differ."""
    if found.kind in _EXAMPLES or found.kind == "literal":
        return list(found.values) or [_EXAMPLES[found.kind](at)]
    if found.kind == "union":
        return [value for one in found.of for value in _values(one, at)]
    if found.kind == "struct":
        fields = inspected(shapes.structs()[found.name])
        parts = [_values(_type(one.type), at + place)[0] for place, one in enumerate(fields)]
        names = [one.encode_name for one in fields]
        return [dict(zip(names, parts, strict=True))]
    parts = [_values(one, at + place)[0] for place, one in enumerate(found.of)]
    if found.kind == "dict":
        return [dict([parts])]
    return [parts * 2 if found.kind == "list" else parts]


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "freeze":  # noqa: PLR2004 - itself and two words
        sys.exit("usage: python -m proto.history freeze VERSION")
    print(freeze(sys.argv[2]))  # noqa: T201 - a command line prints
