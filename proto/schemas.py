"""The structs of the wire as JSON Schemas, 2020-12.

They describe the JSON form of what travels as MessagePack: binary values are base64 here and `bin`
there. A struct in an array's place is its tag and its fields in order, and readers pass over what
comes behind those that they know.
"""

import inspect
from typing import Any, Final

import msgspec

from proto import shapes

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DEFINITION: Final = "#/$defs/"


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each tagged struct, by its tag, with all that it refers to."""
    found = {}
    for struct in shapes.structs().values():
        tag = shapes.tag_of(struct)
        if tag is not None:
            found[tag] = _document(struct)
    return dict(sorted(found.items()))


def _document(struct: type[msgspec.Struct]) -> dict[str, Any]:
    (whole,), definitions = msgspec.json.schema_components((struct,), ref_template="#/$defs/{name}")
    known = shapes.structs()
    for name, definition in definitions.items():
        _describe(known[name], definition)
    name = whole["$ref"].removeprefix(_DEFINITION)
    own = definitions.pop(name)
    document = {"$schema": DIALECT, "$id": f"{shapes.tag_of(struct)}.json", **own}
    if definitions:
        document["$defs"] = dict(sorted(definitions.items()))
    return document


def _describe(struct: type[msgspec.Struct], definition: dict[str, Any]) -> None:
    """Add what the source says: of the struct, and of each field."""
    definition["description"] = inspect.cleandoc(struct.__doc__ or "")
    fields = msgspec.structs.fields(struct)
    if "prefixItems" in definition:
        tag, *items = definition["prefixItems"]
        tag["title"] = "tag"
    else:
        items = [definition["properties"][field.encode_name] for field in fields]
    for field, schema in zip(fields, items, strict=True):
        if "prefixItems" in definition:
            schema["title"] = field.encode_name
        said = shapes.description(struct, field.name)
        if said is not None:
            schema["description"] = said
        _mark_binary(schema)


def _mark_binary(schema: dict[str, Any]) -> None:
    """Say of each binary value how MessagePack has it."""
    if schema.get("contentEncoding") == "base64":
        schema["x-messagepack"] = "bin"
    for key in ("anyOf", "prefixItems"):
        for part in schema.get(key, ()):
            _mark_binary(part)
    items = schema.get("items")
    if isinstance(items, dict):
        _mark_binary(items)
