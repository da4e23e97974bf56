"""Every end that a webhook may have but a 202."""

import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from crossdock.errors import Refused, TimedOut, Violation
from crossdock.inbound.sources.prepared import PreparedSource
from crossdock.limits.service import over
from crossdock.native import Taken
from gateway import problems
from gateway.asgi import Answer, Header, answer, problem
from gateway.edge.unread import CLOSE
from proto.settings import SourceSettings

HIDDEN: Final = "/in/***"
"""Every problem's `instance`. The path itself is not repeated: whoever has its token can send."""
_problem: Final = partial(problem, instance=HIDDEN)

LONGEST_WAIT_S: Final = 86_400.0
"""Quotas begin anew each day."""

_ALLOW: Final = (b"allow", b"GET, POST")
_ALLOW_POST: Final = (b"allow", b"POST")
"""Of a source whose provider asks nothing."""
_CHALLENGE: Final = (b"www-authenticate", b"Signature")

_ONLY_POST: Final = "Webhooks are sent with POST."
_QUOTA: Final = "This tenant's quota for today is used up."
_AGAIN: Final = "The webhook was not accepted; send it again."

_INACTIVE: Final = {
    "paused": _problem(403, "source-paused", "This source is paused."),
    "disabled": _problem(403, "source-disabled", "This source is disabled."),
}


class Answered(Exception):
    """The request has another end than a stored webhook."""

    def __init__(
        self,
        reason: str,
        answer: Answer,
        taken: Taken | None = None,
        *,
        source: PreparedSource | None = None,
        is_genuine: bool = False,
    ) -> None:
        """Say which.

        Args:
            reason: what it is counted as; empty where nothing was refused.
            answer: what to send.
            taken: what a limit said, where one was asked about a verified webhook.
            source: whose webhook it is, where nobody else knows.
            is_genuine: its sender is who it says, so it is not its address that is charged.
        """
        super().__init__()
        self.reason = reason
        self.answer = answer
        self.taken = taken
        self.source = source
        self.is_genuine = is_genuine

    def about(self, source: PreparedSource | None) -> "Answered":
        """Say whose webhook it was, where that is known."""
        if source is not None:
            self.source = source
        return self


ACCEPTED: Final = answer(202, "application/json", b"").start

_UNKNOWN: Final = _problem(404, "unknown-source", "No source has this address.")
_SUSPENDED: Final = _problem(403, "tenant-suspended", "This tenant is suspended.")
_METHOD: Final = _problem(405, "method-not-allowed", _ONLY_POST, _ALLOW)
_NO_QUESTION: Final = _problem(405, "method-not-allowed", _ONLY_POST, _ALLOW_POST)


def unknown_source() -> Answered:
    """No source has this token."""
    return Answered("unknown-source", _UNKNOWN)


def wrong_method(source: PreparedSource | None = None) -> Answered:
    """It is no POST; nor a handshake, where a source was asked."""
    return Answered(
        "method-not-allowed", _METHOD if source is None else _NO_QUESTION, source=source
    )


def handshake(content_type: str, text: bytes) -> Answered:
    """What a provider wanted to hear."""
    return Answered("", answer(200, content_type, text))


def closed(settings: SourceSettings) -> Answered | None:
    """Why a source takes nothing; `None` if it was blocked, and is no more."""
    if settings.tenant_state != "active":
        return Answered("tenant-suspended", _SUSPENDED)
    if settings.source_state != "active":
        return Answered("source-inactive", _INACTIVE.get(settings.source_state, _UNKNOWN))
    left_s = settings.blocked_until - time.time()
    if left_s <= 0:
        return None
    wait = _retry_after(min(left_s, LONGEST_WAIT_S))
    return Answered("quota-exceeded", _problem(429, "quota-exceeded", _QUOTA, wait))


def wrong_media_type(settings: SourceSettings) -> Answered:
    """The source takes bodies of other types."""
    detail = f"This source takes {', '.join(settings.content_types)}."
    return Answered("unsupported-media-type", _problem(415, "unsupported-media-type", detail))


def not_verified(reason: str, detail: str | None) -> Answered:
    """Signature, timestamp or body are no good."""
    status, headers = (400, ()) if reason == "body-malformed" else (401, (_CHALLENGE,))
    return Answered(reason, _problem(status, reason, detail, *headers))


def schema_violated(
    event_type: str, violations: Sequence[tuple[str, str]], taken: Taken | None
) -> Answered:
    """A genuine webhook, which breaks the schema of its type."""
    found = problems.problem(
        422,
        "schema-violated",
        f"The payload breaks the schema of {event_type}.",
        instance=HIDDEN,
        errors=[Violation(*one) for one in violations],
    )
    # Not one of those that are rendered once: what it says is the sender's.
    refusal = answer(422, problems.CONTENT_TYPE, problems.encode(found))
    return Answered("schema-violated", refusal, taken, is_genuine=True)


def limited(reason: str, taken: Taken) -> Answered:
    """A limit has no room."""
    error = over(taken)
    refusal = _problem(429, error.problem, str(error), policies=error.policies)
    return Answered(reason, refusal, taken)


def refused(error: Refused) -> Answered:
    """The request could not be read."""
    last = (CLOSE,) if isinstance(error, TimedOut) else ()
    return Answered(error.problem, _problem(error.status, error.problem, str(error), *last))


def unavailable(retry_after_s: float) -> Answered:
    """We can't take it at the moment, for no fault of its sender's."""
    wait = _retry_after(max(1.0, retry_after_s))
    return Answered("unavailable", _problem(503, "unavailable", _AGAIN, wait))


def _retry_after(seconds: float) -> Header:
    return (b"retry-after", str(math.ceil(seconds)).encode())
