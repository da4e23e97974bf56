"""Types as they are written in Python, from JSON schemas."""

import keyword
from collections.abc import Callable, Mapping
from typing import Any, Final

from tools.client.document import Document, Schema, referred

BUILTINS: Final = frozenset({"filter", "format", "hash", "id", "input", "max", "min", "type"})

_PLAIN: Final = {"integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_TEXT: Final = {"date-time": "datetime", "date": "date"}

Kinds = Callable[[Schema], str]


class Writer:
    """Writes types; what they name is collected in `models`, for the imports.

    Closed sets of words are `Literal` in what is sent, so that a typing mistake is found where it
    is made, and `str` in what is answered: an older client reads what a newer server has added.
    """

    def __init__(self, document: Document, *, is_sent: bool, lists: str) -> None:
        self._document = document
        self._is_sent = is_sent
        self._lists = lists
        self.models: set[str] = set()

    def kind(self, schema: Schema) -> str:
        """Return the type of a schema's values."""
        if "$ref" in schema:
            component = referred(schema)
            self.models.add(component)
            return self._document.shown(component)
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return self._union([self.kind(one) for one in schema[union]])
        if "enum" in schema:
            return self._words(schema["enum"])
        declared = schema.get("type")
        if isinstance(declared, list):
            return self._union([self.kind({**schema, "type": one}) for one in declared])
        return self._plain(declared, schema)

    def _plain(self, declared: str | None, schema: Schema) -> str:
        match declared:
            case "string":
                return _TEXT.get(schema.get("format", ""), "str")
            case "array":
                return self._array(schema)
            case "object":
                values = schema.get("additionalProperties")
                of = self.kind(values) if isinstance(values, Mapping) and values else "Any"
                return f"dict[str, {of}]"
            case None:
                return "Any"
            case _:
                return _PLAIN[declared]

    def _array(self, schema: Schema) -> str:
        if "prefixItems" in schema:
            return f"tuple[{', '.join(self.kind(one) for one in schema['prefixItems'])}]"
        return f"{self._lists}[{self.kind(schema.get('items', {}))}]"

    def _words(self, words: list[Any]) -> str:
        if None in words:
            return self._union([self._words([one for one in words if one is not None]), "None"])
        if not self._is_sent and all(isinstance(word, str) for word in words):
            return "str"
        return f"Literal[{', '.join(_quoted(word) for word in words)}]"

    def _union(self, kinds: list[str]) -> str:
        """Return one of several types: `None` last, each once."""
        ordered = dict.fromkeys(sorted(kinds, key=lambda kind: kind == "None"))
        return " | ".join(ordered)


def default(schema: Schema, kind: str) -> str:
    """Return the default of a member that may be left out."""
    if "default" not in schema:
        return "UNSET"
    value = schema["default"]
    if value == {} and "$ref" in schema:
        return f"msgspec.field(default_factory={kind})"
    return _quoted(value)


def optional(kind: str, marker: str) -> str:
    """Return a type, or else a marker of absence; `None` stays last."""
    kinds = [one for one in kind.split(" | ") if one != "None"]
    if marker != "None":
        kinds.append(marker)
    if marker == "None" or kind.endswith("None"):
        kinds.append("None")
    return " | ".join(kinds)


def argument(name: str) -> str:
    """Return what a method calls a parameter or member."""
    plain = name.replace("-", "_").lower()
    return f"{plain}_" if plain in BUILTINS or keyword.iskeyword(plain) else plain


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
