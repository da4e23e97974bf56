"""What a refusal looks like, and what an answer of success says."""

from collections.abc import Collection
from typing import Any, Final

import httpx
import msgspec

MEMBERS: Final = {"type", "title", "status", "detail", "instance", "errors"}
"""RFC 9457's, and ours for validation."""
UNTOLD: Final = (
    "Traceback",
    "asyncpg",
    "sqlalchemy",
    "SELECT ",
    "INSERT ",
    "$argon2",
    "/crossdock/",
)


def ok(reply: httpx.Response, status: int | None = None) -> Any:
    """Return what an answer of success says."""
    assert reply.is_success, told(reply)
    assert status is None or reply.status_code == status, told(reply)
    return msgspec.json.decode(reply.content) if reply.content else None


def refused(reply: httpx.Response, status: int | Collection[int], name: str | None = None) -> Any:
    """Check the shape of a refusal and return what it says."""
    allowed = {status} if isinstance(status, int) else set(status)
    assert reply.status_code in allowed, told(reply)
    assert reply.headers["content-type"].partition(";")[0] == "application/problem+json"
    problem = msgspec.json.decode(reply.content)
    assert {"type", "title", "status"} <= set(problem) <= MEMBERS
    assert problem["status"] == reply.status_code
    if name is not None:
        assert kind(reply) == name, told(reply)
    assert not [word for word in UNTOLD if word in reply.text], reply.text
    return problem


def refused_anyhow(reply: httpx.Response) -> Any:
    """Check that it is a 4xx of the right shape, whichever."""
    assert 400 <= reply.status_code < 500, told(reply)
    return refused(reply, reply.status_code)


def invalid(reply: httpx.Response, pointer: str) -> None:
    """Check that it is a 422 that points at a member of the body."""
    problem = refused(reply, 422, "invalid")
    assert any(error["pointer"].startswith(pointer) for error in problem["errors"]), problem


def kind(reply: httpx.Response) -> str:
    """Return the last part of a problem's type."""
    name: str = msgspec.json.decode(reply.content)["type"]
    return name.replace("#", "/").rpartition("/")[2]


def told(reply: httpx.Response) -> str:
    """Return a request and its answer in a line, for people."""
    request = reply.request
    asked = request.content[:300].decode(errors="replace")
    return (
        f"{request.method} {request.url.raw_path.decode()} {asked} -> "
        f"{reply.status_code} {reply.text[:600]}"
    )
