"""The API's document as the client sees it: resources, their operations, and the models between."""

import keyword
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

Schema = Mapping[str, Any]

ROOTS: Final = ("/v1/", "/health/", "/.well-known/")
"""What a program calls; the other paths are for senders of webhooks and for browsers."""

LIVE: Final = "text/event-stream"
IF_MATCH: Final = "If-Match"
KEY: Final = "Idempotency-Key"

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_NAMED: Final = {"replay_deliveries": "replay_many", "cancel_deliveries": "cancel_many"}
"""Where two of a resource would have one name."""
_FOR_BROWSERS: Final = frozenset({"cookie"})
"""Members of bodies that ask for cookies, which the client does not keep."""
_SUFFIX: Final = "Out"
_PAGE: Final = {"items", "next_cursor"}


class Argument(msgspec.Struct, frozen=True):
    """What a method is given: an id in the path, a filter, or a member of the body."""

    name: str
    schema: Schema
    required: bool


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of a resource."""

    name: str
    method: str
    path: str
    paragraphs: tuple[str, ...]
    ids: tuple[Argument, ...]
    query: tuple[Argument, ...]
    body: tuple[Argument, ...] | None
    """`None` where none is sent."""
    media_type: str
    takes_if_match: bool
    takes_key: bool
    answer: str | None
    """The component, `bytes`, or `None` for nothing."""
    is_listing: bool


class Document:
    """What there is to write."""

    def __init__(self, text: bytes) -> None:
        self._tree: dict[str, Any] = msgspec.json.decode(text)
        self.schemas: dict[str, Schema] = self._tree["components"]["schemas"]
        self.resources: dict[str, list[Operation]] = {}
        self.versioned: set[str] = set()
        """Components of things that are answered with an `ETag`."""
        for path, item in sorted(self._tree["paths"].items()):
            for method in _METHODS:
                if method in item and path.startswith(ROOTS) and not _is_live(item[method]):
                    self._add(path, method, item[method])
        self.resources = dict(sorted(self.resources.items()))

    @classmethod
    def read(cls, path: Path) -> "Document":
        """Read a document from a file."""
        return cls(path.read_bytes())

    def shown(self, component: str) -> str:
        """Return what the client calls a component: `SourceOut` is a `Source` there."""
        short = component.removesuffix(_SUFFIX)
        return component if short in self.schemas or not short else short

    def item_of(self, component: str) -> str:
        """Return the component that a page is made of."""
        items: Schema = self.schemas[component]["properties"]["items"]["items"]
        return referred(items)

    def _add(self, path: str, method: str, found: Schema) -> None:
        resource = _resource(path, found)
        operations = self.resources.setdefault(resource, [])
        operation_id = found["operationId"]
        name = _NAMED.get(operation_id) or _name(resource, operation_id)
        if name in {one.name for one in operations}:
            name = operation_id
        parameters = [self._resolved(one) for one in found.get("parameters", ())]
        headers = {one["name"] for one in parameters if one["in"] == "header"}
        media_type, body = self._body(found.get("requestBody"))
        answer, is_listing = self._answer(found["responses"])
        operations.append(
            Operation(
                name=name,
                method=method.upper(),
                path=path,
                paragraphs=tuple((found.get("description") or found["summary"]).split("\n\n")),
                ids=_arguments(parameters, "path"),
                query=_arguments(parameters, "query"),
                body=body,
                media_type=media_type,
                takes_if_match=IF_MATCH in headers,
                takes_key=KEY in headers,
                answer=answer,
                is_listing=is_listing,
            )
        )

    def _body(self, found: Schema | None) -> tuple[str, tuple[Argument, ...] | None]:
        if found is None:
            return "", None
        ((media_type, content),) = found["content"].items()
        schema = self.schemas[referred(content["schema"])]
        required = set(schema.get("required", ()))
        members = tuple(
            Argument(name, member, name in required)
            for name, member in schema.get("properties", {}).items()
            if name not in _FOR_BROWSERS
        )
        return media_type, members

    def _answer(self, responses: Schema) -> tuple[str | None, bool]:
        status = min(status for status in responses if status.startswith("2"))
        found = self._resolved(responses[status])
        content = found.get("content", {})
        if "application/json" not in content:
            return ("bytes" if content else None), False
        component = referred(content["application/json"]["schema"])
        properties = set(self.schemas[component].get("properties", ()))
        if not properties:
            return None, False
        if "ETag" in found.get("headers", ()) and "id" in properties:
            self.versioned.add(component)
        return component, properties == _PAGE

    def _resolved(self, found: Schema) -> Schema:
        """Follow a reference to a shared parameter or response."""
        reference = found.get("$ref")
        if reference is None:
            return found
        tree: Any = self._tree
        for step in reference.removeprefix("#/").split("/"):
            tree = tree[step]
        resolved: Schema = tree
        return resolved


def referred(schema: Schema) -> str:
    """Return the component that a schema is; of several, the first."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for one in schema.get("oneOf", schema.get("anyOf", ())):
        return referred(one)
    raise ValueError(f"A body without a name: {schema}")


def _is_live(found: Schema) -> bool:
    """Tell whether an operation answers with a stream: `crossdock.client.live` is by hand."""
    return any(LIVE in answer.get("content", ()) for answer in found["responses"].values())


def _arguments(parameters: list[Schema], place: str) -> tuple[Argument, ...]:
    return tuple(
        Argument(one["name"], one["schema"], one.get("required", False))
        for one in parameters
        if one["in"] == place
    )


def _resource(path: str, found: Schema) -> str:
    first, *rest = path.strip("/").split("/")
    if first == "v1":
        return rest[0].replace("-", "_")
    return str(found["tags"][0]).lower().replace(" ", "_")


def _name(resource: str, operation: str) -> str:
    """Return a method's name: `rotate_source_secret` of `sources` is `rotate_secret`."""
    words = operation.split("_")
    for known in _forms(resource.split("_")):
        for start in range(1, len(words) - len(known) + 1):
            if words[start : start + len(known)] == known:
                left = "_".join(words[:start] + words[start + len(known) :])
                return operation if keyword.iskeyword(left) else left
    return operation


def _forms(words: list[str]) -> Iterator[list[str]]:
    """Return the words of a resource, as they are and in the singular."""
    yield words
    last = words[-1]
    for ending, single in (("ies", "y"), ("es", ""), ("s", "")):
        if last.endswith(ending):
            yield [*words[:-1], last.removesuffix(ending) + single]
