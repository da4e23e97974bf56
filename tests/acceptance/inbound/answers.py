"""What a refusal looks like here."""

from collections.abc import Collection
from typing import Any, Final

from tests.faults.rest import Reply

UNTOLD: Final = ("Traceback", "asyncpg", "sqlalchemy", "SELECT ", "INSERT ", "/crossdock/", "panic")


def refused(reply: Reply, status: int | Collection[int], name: str | None = None) -> Any:
    """Check that it is a problem of that status, and of that type if given; return it."""
    allowed = {status} if isinstance(status, int) else set(status)
    assert reply.status in allowed, reply
    assert reply.headers["content-type"].partition(";")[0] == "application/problem+json"
    told = reply.json()
    assert {"type", "title", "status"} <= set(told)
    assert told["status"] == reply.status
    if name is not None:
        assert told["type"].replace("#", "/").rpartition("/")[2] == name, told
    text = reply.body.decode()
    assert not [word for word in UNTOLD if word in text], text
    return told


def invalid(reply: Reply, pointer: str = "") -> Any:
    """Check that it is a 422 which points at that member of the body, or below it."""
    told = refused(reply, 422, "invalid")
    assert any(error["pointer"].startswith(pointer) for error in told["errors"]), told
    return told


def pointers(told: Any) -> set[str]:
    """Return where a problem or an event says that something is wrong."""
    errors = told["errors"] if isinstance(told, dict) else told
    return {error["pointer"] for error in errors}
