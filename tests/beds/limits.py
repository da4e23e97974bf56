"""What answers say of limits, and doors to send webhooks to."""

import re
import time
from itertools import count
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec

from crossdock import native

ADDRESS_BURST: Final = 12
QUOTA_EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"

_POLICY: Final = re.compile(r'"([a-z]+)";q=(\d+);w=(\d+)')
_LIMIT: Final = re.compile(r'"([a-z]+)";r=(\d+);t=(\d+)')
_networks = count(1)


class Left(NamedTuple):
    """What the tightest policy has left."""

    policy: str
    remaining: int
    reset_s: int


def policies(answer: httpx.Response) -> dict[str, tuple[int, int]]:
    """Return the policies that an answer names: quota and window in seconds, by name."""
    text = answer.headers["ratelimit-policy"]
    found = {name: (int(quota), int(window)) for name, quota, window in _POLICY.findall(text)}
    assert ", ".join(f'"{n}";q={q};w={w}' for n, (q, w) in found.items()) == text
    return found


def left(answer: httpx.Response) -> Left:
    """Return what an answer says is left."""
    found = _LIMIT.fullmatch(answer.headers["ratelimit"])
    assert found is not None, answer.headers
    return Left(found[1], int(found[2]), int(found[3]))


def check_refusal(answer: httpx.Response, *violated: str) -> None:
    """Check that an answer is a whole refusal for these policies."""
    assert answer.status_code == 429, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == QUOTA_EXCEEDED
    assert problem["status"] == 429
    assert problem["violated-policies"] == list(violated)
    assert len(answer.headers.get_list("retry-after")) == 1
    assert int(answer.headers["retry-after"]) >= max(1, left(answer).reset_s)
    assert left(answer).policy in violated
    assert left(answer).remaining == 0
    assert set(violated) <= set(policies(answer))


def stranger() -> dict[str, str]:
    """Return the headers of somebody whose address nobody had before, behind a trusted proxy."""
    number = next(_networks)
    return {"x-forwarded-for": f"2001:db8:{number:x}::1"}


class Door:
    """A source, and the provider that sends to it."""

    def __init__(self, source: dict[str, Any], secret: str) -> None:
        self.source = source
        self.path = urlsplit(source["ingest_url"]).path
        self._signer = native.Signer(msgspec.json.encode({"scheme": "stripe", "secrets": [secret]}))
        self._serial = count(1)

    async def post(self, http: httpx.AsyncClient, **headers: str) -> httpx.Response:
        """Send a genuine webhook."""
        body = b'{"id":"evt_%d","type":"charge.succeeded"}' % next(self._serial)
        url = self.source["ingest_url"]
        signed = dict(self._signer.sign("POST", url, body, time.time()))
        sent = signed | {"content-type": "application/json"} | headers
        return await http.post(self.path, content=body, headers=sent)

    async def junk(self, http: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
        """Send what nobody signed."""
        return await http.post(self.path, content=b"{}", headers=headers)
