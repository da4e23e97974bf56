"""Every operation that the live OpenAPI document knows: a new route is in the tests by itself."""

import re
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from tests.faults.rest import Rest

Access: TypeAlias = Literal["public", "user", "permissions", "operator"]

DOCUMENT: Final = "/schema/openapi.json"
METHODS: Final = ("get", "put", "post", "delete", "patch")
INGEST: Final = "/in/"
"""For providers, with addresses and signatures of their own."""
OPERATORS: Final = "/v1/admin/"
"""Where everything is for operators, and nothing of theirs is elsewhere."""
PEOPLE_ONLY: Final[list[dict[str, list[str]]]] = [{"access_token": []}]
STREAM: Final = "text/event-stream"
NEEDS: Final = re.compile(r"Needs ((?:`[a-z:-]+`(?:, )?)+)\.")


class Operation(NamedTuple):
    """A method of a path."""

    method: str
    path: str
    has_body: bool
    access: Access
    """Whom it is for, as the document says."""
    permissions: frozenset[str]
    """What a caller must hold."""

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
        _read(method.upper(), path, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item and not path.startswith(INGEST) and not _is_endless(item[method])
    ]


def _is_endless(told: Any) -> bool:
    """Tell whether an operation answers for as long as anybody listens: nobody waits for that."""
    return STREAM in told["responses"].get("200", {}).get("content", {})


def _read(method: str, path: str, told: Any) -> Operation:
    needs = NEEDS.search(told.get("description", ""))
    permissions = frozenset(re.findall(r"`(.+?)`", needs[1])) if needs else frozenset()
    return Operation(method, path, "requestBody" in told, _access(path, told), permissions)


def _access(path: str, told: Any) -> Access:
    match told.get("security"):
        case []:
            return "public"
        case security if security == PEOPLE_ONLY:
            return "user"
        case _:
            return "operator" if path.startswith(OPERATORS) else "permissions"
