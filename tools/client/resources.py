"""The resources: one class for each, waited for and awaited."""

import textwrap
from collections.abc import Iterator
from typing import Final

import msgspec

from tools.client.document import Argument, Document, Operation
from tools.client.kinds import Writer, argument, optional
from tools.client.models import HEADER, Models

LINE: Final = 86
"""Of a docstring's first line, so that it is one line with its quotes and indentation."""

_JSON: Final = "application/json"
_ENDING: Final = (".", "!", "?")


class Flavour(msgspec.Struct, frozen=True):
    """How the methods of a client are called."""

    package: str
    prefix: str
    begins: str
    waits: str


WAITED: Final = Flavour("resources", "", "def", "return self._send")
AWAITED: Final = Flavour("async_resources", "Async", "async def", "return await self._send")


class Resources:
    """Writes the resources of one flavour."""

    def __init__(self, document: Document, models: Models, flavour: Flavour) -> None:
        self._document = document
        self._models = models
        self._flavour = flavour

    def modules(self) -> Iterator[tuple[str, str]]:
        """Return modules by name, with their text."""
        for resource, operations in self._document.resources.items():
            yield resource, self._module(resource, operations)
        yield "__init__", self._index()

    def _index(self) -> str:
        flavour = self._flavour
        names = {resource: self._class_of(resource) for resource in self._document.resources}
        sender = f"{flavour.prefix}Sender"
        lines = [f'"""All resources. {HEADER}"""', ""]
        lines += [
            f"from crossdock.client.{flavour.package}.{resource} import {name}"
            for resource, name in names.items()
        ]
        lines += [
            f"from crossdock.client.senders import {sender}",
            f"class {flavour.prefix}Resources:",
            '    """What the API is about, by name."""',
            "",
            f"    def __init__(self, sender: {sender}) -> None:",
            *(f"        self.{resource} = {name}(sender)" for resource, name in names.items()),
        ]
        return "\n".join(lines)

    def _class_of(self, resource: str) -> str:
        words = "".join(word.capitalize() for word in resource.split("_"))
        return f"{self._flavour.prefix}{words}Resource"

    def _module(self, resource: str, operations: list[Operation]) -> str:
        writer = Writer(self._document, is_sent=True, lists="Sequence")
        methods = [self._method(one, writer) for one in operations]
        flavour = self._flavour
        lines = [
            f'"""`{resource}`. {HEADER}"""',
            "from collections.abc import Sequence",
            "from datetime import date, datetime",
            "from typing import Any, Literal",
            "from msgspec import UNSET, UnsetType",
            "from crossdock.client.call import Call, at, members",
            f"from crossdock.client.pages import {flavour.prefix}Listing, Page",
            f"from crossdock.client.senders import {flavour.prefix}Resource",
            *(
                f"from crossdock.client.models.{self._models.homes[one]}"
                f" import {self._document.shown(one)}"
                for one in sorted(writer.models)
            ),
            f"class {self._class_of(resource)}({flavour.prefix}Resource):",
            f'    """Calls of `{resource}`."""',
        ]
        return "\n".join([*lines, *methods])

    def _method(self, operation: Operation, writer: Writer) -> str:
        answer = self._answer(operation, writer)
        begins, sends = self._flavour.begins, self._flavour.waits
        result = answer
        if operation.is_listing:
            begins, sends = "def", "return self._list"
            result = f"{self._flavour.prefix}Listing[{answer}]"
            answer = f"Page[{answer}]"
        if answer == "None":
            sends, answer = sends.removeprefix("return "), "type(None)"
        call = ", ".join([f'"{operation.method}"', _path(operation), answer, *_parts(operation)])
        return "\n".join(
            [
                "",
                f"    {begins} {operation.name}({_signature(operation, writer)}) -> {result}:",
                *textwrap.indent(_words(operation), "        ").splitlines(),
                f"        {sends}(Call({call}))",
            ]
        )

    def _answer(self, operation: Operation, writer: Writer) -> str:
        if operation.answer is None or operation.answer == "bytes":
            return str(operation.answer)
        component = operation.answer
        if operation.is_listing:
            component = self._document.item_of(component)
        writer.models.add(component)
        return self._document.shown(component)


def _signature(operation: Operation, writer: Writer) -> str:
    named = [_parameter(one, writer, absent="None") for one in operation.query]
    named += [_parameter(one, writer, absent="UNSET") for one in operation.body or ()]
    if operation.takes_if_match:
        named.append("if_match: str | None = None")
    if operation.takes_key:
        named.append("idempotency_key: str | None = None")
    # What must be given comes first, or nothing could be left out before it.
    named.sort(key=lambda one: " = " in one)
    listed = ["self", *(f"{argument(one.name)}: str" for one in operation.ids)]
    return ", ".join([*listed, *(["*", *named] if named else [])])


def _parameter(found: Argument, writer: Writer, *, absent: str) -> str:
    kind = writer.kind(found.schema)
    name = argument(found.name)
    if found.required:
        return f"{name}: {kind}"
    marker = "UnsetType" if absent == "UNSET" else "None"
    return f"{name}: {optional(kind, marker)} = {absent}"


def _path(operation: Operation) -> str:
    if not operation.ids:
        return f'"{operation.path}"'
    template = operation.path
    for one in operation.ids:
        template = template.replace(f"{{{one.name}}}", "{}")
    return f'at("{template}", {", ".join(argument(one.name) for one in operation.ids)})'


def _parts(operation: Operation) -> Iterator[str]:
    if operation.query:
        pairs = ", ".join(f'"{one.name}": {argument(one.name)}' for one in operation.query)
        yield f"query={{{pairs}}}"
    if operation.body is not None:
        given = ", ".join(f"{one.name}={argument(one.name)}" for one in operation.body)
        yield f"body=members({given})"
        if operation.media_type != _JSON:
            yield f'media_type="{operation.media_type}"'
    if operation.takes_if_match:
        yield "if_match=if_match"
    if operation.takes_key:
        yield "takes_key=True"
        yield "key=idempotency_key"


def _words(operation: Operation) -> str:
    """Return a docstring: what it does, and who may."""
    first, *others = (" ".join(one.split()) for one in operation.paragraphs)
    first = first if first.endswith(_ENDING) else f"{first}."
    kept = [one for one in others if one.startswith(("Needs ", "For "))]
    if len(first) > LINE:
        head, mark, tail = _split(first)
        first, kept = head + mark, [tail, *kept]
    wrapped = [textwrap.fill(one, width=LINE, break_on_hyphens=False) for one in kept]
    if not wrapped:
        return f'"""{first}"""'
    return "\n\n".join([f'"""{first}', *wrapped]) + '\n"""'


def _split(text: str) -> tuple[str, str, str]:
    """Split a long summary where a sentence, or else a clause, ends."""
    for mark in (". ", "; ", ": ", ", "):
        head, found, tail = text.partition(mark)
        if found and len(head) < LINE:
            return head, ".", tail[0].upper() + tail[1:]
    raise ValueError(f"No summary fits a line: {text}")
