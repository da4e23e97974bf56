"""What answers say about themselves: problems and limits, read strictly."""

import re
from collections.abc import Collection
from typing import Any, Final, NamedTuple

import httpx
import msgspec

from tests.acceptance.identity.problems import UNTOLD, kind, told

QUOTA_EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
REQUIRED: Final = {"type", "title", "status", "detail", "instance"}
POLICY: Final = re.compile(r'"([a-z][a-z0-9-]*)";q=([1-9]\d*);w=([1-9]\d*)')
STATE: Final = re.compile(r'"([a-z][a-z0-9-]*)";r=(\d+);t=(\d+)')


class Policy(NamedTuple):
    """One member of `RateLimit-Policy`."""

    name: str
    quota: int
    window_s: int


class State(NamedTuple):
    """What `RateLimit` says of the tightest policy."""

    name: str
    remaining: int
    reset_s: int


def problem(reply: httpx.Response, status: int | Collection[int], name: str | None = None) -> Any:
    """Check that it is a whole problem of that status and return what it says."""
    allowed = {status} if isinstance(status, int) else set(status)
    assert reply.status_code in allowed, told(reply)
    assert reply.headers["content-type"].partition(";")[0] == "application/problem+json"
    said = msgspec.json.decode(reply.content)
    assert set(said) >= REQUIRED, said
    assert said["status"] == reply.status_code
    assert all(said[member] for member in REQUIRED), said
    if name is not None:
        assert kind(reply) == name, told(reply)
    assert not [word for word in UNTOLD if word in reply.text], reply.text
    return said


def pointers(reply: httpx.Response) -> list[str]:
    """Return where a 422 says that something is wrong."""
    said = problem(reply, 422)
    assert said["errors"], said
    assert all(error["detail"] for error in said["errors"])
    return [error["pointer"] for error in said["errors"]]


def policies(reply: httpx.Response) -> dict[str, Policy]:
    """Return the policies that a request was held against, by name."""
    header = reply.headers["ratelimit-policy"]
    found = {}
    for part in header.split(","):
        match = POLICY.fullmatch(part.strip())
        assert match, header
        found[match[1]] = Policy(match[1], int(match[2]), int(match[3]))
    return found


def state(reply: httpx.Response) -> State:
    """Return what is left, after checking that it is of a policy that was told, too."""
    match = STATE.fullmatch(reply.headers["ratelimit"])
    assert match, reply.headers
    found = State(match[1], int(match[2]), int(match[3]))
    policy = policies(reply)[found.name]
    assert found.remaining <= policy.quota
    return found


def exceeded(reply: httpx.Response, policy: str) -> int:
    """Check that it is a 429 of that policy; return the seconds that it says to wait."""
    said = problem(reply, 429)
    assert said["type"] == QUOTA_EXCEEDED
    assert policy in said["violated-policies"], said
    left = state(reply)
    assert left.name in said["violated-policies"]
    wait = int(reply.headers["retry-after"])
    assert wait >= max(1, left.reset_s if left.remaining == 0 else 1)
    return wait
