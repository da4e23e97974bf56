"""When a request is sent again, and after how long."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Final

import httpx
import msgspec

from crossdock.client.errors import problem_name

_PASSING: Final = frozenset({408, 429, 502, 503, 504})
"""Statuses that say "not now"; a 500 is a fault that would only be met again."""
_CONFLICT: Final = 409
_IN_PROGRESS: Final = "idempotency-in-progress"

_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""No connection was made, so the server never saw the request."""


_OUR_FAULT: Final = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often, and how far apart.

    The wait before another try is what the server asks for by `Retry-After`, plus a random part of
    `base_s`, doubled after each try up to `cap_s`: clients that failed together come back apart.
    """

    tries: Annotated[int, msgspec.Meta(ge=1)] = 4
    """At most, the first one included."""
    base_s: float = 0.2
    cap_s: float = 8.0
    longest_wait_s: float = 30.0
    """Where the server asks for more, the problem is raised at once."""

    def wait_s(self, done: int, retry_after_s: float | None) -> float | None:
        """Return how long to wait after `done` tries in seconds, or `None` to give up."""
        asked = retry_after_s or 0.0
        if done >= self.tries or asked > self.longest_wait_s:
            return None
        backoff = min(self.cap_s, self.base_s * 2.0 ** (done - 1))
        return asked + random.random() * backoff  # noqa: S311 - it spreads load, it hides nothing


def will_pass(response: httpx.Response) -> bool:
    """Say whether a refusal is likely to be gone when the request is sent again."""
    if response.status_code in _PASSING:
        return True
    return response.status_code == _CONFLICT and _type_of(response) == _IN_PROGRESS


def never_left(error: httpx.RequestError) -> bool:
    """Say whether the request surely did not reach the server."""
    return isinstance(error, _UNSENT)


def passing(error: httpx.RequestError) -> bool:
    """Say whether a failed connection is worth another: not where the fault is on this side."""
    return isinstance(error, httpx.TransportError) and not isinstance(error, _OUR_FAULT)


def retry_after_s(response: httpx.Response) -> float | None:
    """Return what `Retry-After` says, in seconds: a number or a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


class _Typed(msgspec.Struct):
    type: str = ""


def _type_of(response: httpx.Response) -> str:
    try:
        return problem_name(msgspec.json.decode(response.content, type=_Typed).type)
    except msgspec.MsgspecError:
        return ""
