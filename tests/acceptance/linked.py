"""Walks the links of the OpenAPI document, as a program would that knows nothing else."""

import re
import secrets
from typing import Any, Final, NamedTuple

import httpx

from tests.acceptance.identity.people import Caller, email, slug
from tests.faults.waiting import until

CONFLICT: Final = 409
TOO_SOON: Final = 429
MAKERS: Final = {"test_alerts"}
"""What makes something, though its name does not say so, and takes no id."""
METHODS: Final = ("get", "put", "post", "delete", "patch")


class Link(NamedTuple):
    """From an answer to an operation that takes an id in it."""

    origin: str
    target: str
    values: dict[str, str]
    """Runtime expressions by the names of parameters in the path."""


class Answered(NamedTuple):
    """An answer, and the ids in its request's path."""

    reply: httpx.Response
    path: dict[str, str]

    def value(self, expression: str) -> str:
        """Return what a runtime expression stands for (OpenAPI 3.1, 4.8.20.3)."""
        if expression.startswith("$request.path."):
            return self.path[expression.removeprefix("$request.path.")]
        assert self.reply.is_success, (expression, str(self.reply.url), self.reply.text)
        found: Any = self.reply.json()
        for step in expression.removeprefix("$response.body#/").split("/"):
            found = found[int(step)] if isinstance(found, list) else found[step]
        return str(found)


class Walker:
    """Calls operations by their names, with their examples and with ids from links."""

    def __init__(self, document: Any, callers: dict[str, Caller]) -> None:
        """Take the document, and who asks, by the beginning of the path; the longest counts."""
        self._callers = callers
        self._good: dict[str, Answered] = {}
        """The last success of each operation."""
        self._operations = {
            item[method]["operationId"]: (method, path, item[method])
            for path, item in document["paths"].items()
            for method in METHODS
            if method in item
        }
        self.links = [
            Link(name, link["operationId"], link["parameters"])
            for name, (_, _, operation) in self._operations.items()
            for response in operation["responses"].values()
            for link in response.get("links", {}).values()
        ]

    async def follow(self, link: Link) -> httpx.Response:
        """Call where a link leads from, then where it leads to; return what that answers."""
        return (await self._send(link.target, await self._ids(link))).reply

    async def _ids(self, link: Link) -> dict[str, str]:
        """Return what a link's target takes, from a fresh answer of its origin."""
        if link.origin.startswith("list_"):
            for maker in {other.origin for other in self.links if other.target == link.target}:
                if maker.startswith("create_") or maker in MAKERS:
                    await self._send(maker, {})  # what a list had may have been deleted before

        async def find() -> dict[str, str] | None:
            answered = await self._call(link.origin)
            # A delivery takes a while: until then it is no dead letter, and is not replayed.
            if answered.reply.status_code == CONFLICT:
                return None
            if answered.reply.is_success and answered.reply.json().get("items") == []:
                return None
            return {name: answered.value(expression) for name, expression in link.values.items()}

        found = await until(find, f"ids for {link}", within=20)
        assert found is not None
        return found

    async def _call(self, name: str) -> Answered:
        leading = next((link for link in self.links if link.target == name), None)
        if leading is None:
            return await self._send(name, {})
        return await self._send(name, await self._ids(leading))

    async def _send(self, name: str, ids: dict[str, str]) -> Answered:
        method, path, operation = self._operations[name]
        prefix = max((start for start in self._callers if path.startswith(start)), key=len)
        url = re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], path)
        key = {"idempotency-key": secrets.token_hex(8)} if method != "get" else {}
        reply = await self._callers[prefix].call(
            method.upper(), url, _body(name, operation), headers=key
        )
        if reply.status_code == TOO_SOON and name in self._good:
            return self._good[name]  # it may be asked now and then only, as a test alert is
        answered = Answered(reply, ids)
        if reply.is_success:
            self._good[name] = answered
        return answered


def _body(name: str, operation: Any) -> Any:
    """Return an operation's example, with names of its own where there may be only one."""
    content = next(iter(operation.get("requestBody", {}).get("content", {}).values()), None)
    if content is None:
        return None
    body = dict(next(iter(content["examples"].values()))["value"])
    if "email" in body:
        body["email"] = email()
    if "slug" in body:
        body["slug"] = slug()
    if name.startswith("create_") and "name" in body:
        body["name"] = slug()
    return body
