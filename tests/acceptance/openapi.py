"""Every operation that the live OpenAPI document knows: a new route is in the tests by itself."""

import re
from typing import Any, Final, NamedTuple

from tests.faults.rest import Rest

DOCUMENT: Final = "/schema/openapi.json"
METHODS: Final = ("get", "put", "post", "delete", "patch")


class Operation(NamedTuple):
    """A method of a path."""

    method: str
    path: str
    has_body: bool

    @property
    def parameters(self) -> list[str]:
        """Names of the ids in the path."""
        return re.findall(r"\{(\w+)\}", self.path)

    def with_ids(self, ids: dict[str, str]) -> str:
        """Return the path with ids filled in; a parameter nobody has an id for fails the test."""
        return re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], self.path)


async def operations(rest: Rest) -> list[Operation]:
    """Return what the document lists."""
    document: Any = await rest.get(DOCUMENT)
    assert document["openapi"].startswith("3.1")
    return [
        Operation(method.upper(), path, "requestBody" in item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]
