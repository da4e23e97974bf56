"""`POST /in/{token}`: a provider's webhook, verified, stored by the broker, answered with 202.

This is the path that must be fast: no framework, no database, no task or timer of its own a
request. What a request costs, step by step, is in `docs/decisions/`; `make bench-ingest` measures.
"""

import math
import time
from collections import Counter
from typing import Final, NoReturn, Protocol

import structlog

from crossdock import native
from crossdock.bus.publisher import Publisher
from crossdock.config import GatewaySettings
from crossdock.errors import Refused, Unavailable
from crossdock.inbound.prepared import PreparedSource
from crossdock.telemetry import metrics
from gateway.asgi import Answer, Receive, Scope, Send, answer, problem
from gateway.body import Bodies
from proto import subjects
from proto.settings import SourceSettings

PREFIX: Final = "/in/"
_TOKEN: Final = slice(len(PREFIX), None)

_ALLOW: Final = (b"allow", b"GET, POST")
_CHALLENGE: Final = (b"www-authenticate", b"Signature")
_CLOSE: Final = (b"connection", b"close")
"""What is left of a body that we did not read is not worth reading."""

_ACCEPTED: Final = answer(202, "application/json", b"").start
_UNKNOWN: Final = problem(404, "unknown-source", "No source has this address.")
_METHOD: Final = problem(405, "method-not-allowed", "Webhooks are sent with POST.", _ALLOW)
_SUSPENDED: Final = problem(403, "tenant-suspended", "This tenant is suspended.")
_INACTIVE: Final = {
    "paused": problem(403, "source-paused", "This source is paused."),
    "disabled": problem(403, "source-disabled", "This source is disabled."),
}
_QUOTA: Final = "This tenant's quota for today is used up."
_AGAIN: Final = "The webhook was not accepted; send it again."

NOTE_EVERY_S: Final = 5.0
LONGEST_WAIT_S: Final = 86_400.0
"""Quotas begin anew each day."""

log = structlog.get_logger(__name__)


class Directory(Protocol):
    """Who knows the sources."""

    def get(self, token: str) -> PreparedSource | None:
        """Return the source of a token, from memory."""

    async def lookup(self, token: str) -> PreparedSource | None:
        """Return the source of a token that is not in memory, or `None` when there is none."""


class _Answered(Exception):
    """The request has another end than a stored webhook."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class Ingest:
    """The ASGI application below `/in/`."""

    def __init__(
        self, directory: Directory, publisher: Publisher, settings: GatewaySettings
    ) -> None:
        self._directory = directory
        self._publisher = publisher
        self._max_body_bytes = settings.max_body_bytes
        self._public_url = settings.public_url.rstrip("/")
        self._bodies = Bodies(settings.body_timeout_s)
        self._subjects: dict[int, str] = {}
        self._took: list[float] = []
        """Seconds that each webhook accepted since the last tick took."""
        self._refused: Counter[str] = Counter()
        self._noted_at = -math.inf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        try:
            if scope["method"] != "POST":
                await self._ask(scope)
            source = self._directory.get(scope["path"][_TOKEN]) or await self._look_up(scope)
            settings = source.settings
            if (
                settings.source_state != "active"
                or settings.tenant_state != "active"
                or settings.blocked_until
            ):
                self._turn_away(settings)
            headers = scope["headers"]
            limit = settings.max_body_bytes
            if not 0 < limit <= self._max_body_bytes:
                limit = self._max_body_bytes
            body = await self._bodies.read(receive, native.content_length(headers), limit)
            url = self._public_url + scope["path"]
            if scope["query_string"]:
                url = f"{url}?{scope['query_string'].decode('latin-1')}"
            message = native.take_webhook(
                source.native,
                self._subjects.get(settings.shard) or self._subject(settings.shard),
                (settings.tenant_id, settings.source_id),
                url,
                headers,
                body,
                time.time(),
            )
            if not isinstance(message, native.Message):
                self._not_taken(message, source.native, scope, body)
            text = message.answer
            stored = self._publisher.publish(message)
            # Nothing of the webhook is kept here while the broker is waited for.
            del body, message
            await stored
        except _Answered as early:
            await early.answer.send_to(send)
        except (Refused, Unavailable) as error:
            await self._refusal(error).send_to(send)
        else:
            await send(_ACCEPTED)
            await send({"type": "http.response.body", "body": text})
            self._took.append(time.perf_counter() - began)

    async def _look_up(self, scope: Scope) -> PreparedSource:
        """Return a source that is not in memory."""
        source = await self._directory.lookup(scope["path"][_TOKEN])
        if source is None:
            raise _Answered(self._count("unknown-source", _UNKNOWN))
        return source

    async def _ask(self, scope: Scope) -> NoReturn:
        """Answer a handshake, which is all that GET is for."""
        if scope["method"] == "GET":
            source = self._directory.get(scope["path"][_TOKEN]) or await self._look_up(scope)
            query = scope["query_string"]
            words = source.native.handshake("GET", query, scope["headers"], b"", time.time())
            if words is not None:
                raise _Answered(answer(200, *words))
        raise _Answered(self._count("method-not-allowed", _METHOD))

    def _turn_away(self, settings: SourceSettings) -> None:
        """Say why a source takes nothing; return if it was blocked, and is no more."""
        if settings.tenant_state != "active":
            raise _Answered(self._count("tenant-suspended", _SUSPENDED))
        if settings.source_state != "active":
            closed = _INACTIVE.get(settings.source_state, _UNKNOWN)
            raise _Answered(self._count("source-inactive", closed))
        left_s = settings.blocked_until - time.time()
        if left_s > 0:
            wait = (b"retry-after", str(math.ceil(min(left_s, LONGEST_WAIT_S))).encode())
            blocked = problem(429, "quota-exceeded", _QUOTA, wait)
            raise _Answered(self._count("quota-exceeded", blocked))

    def _not_taken(
        self, verdict: native.Verdict, handle: native.Source, scope: Scope, body: bytes
    ) -> NoReturn:
        """Answer a handshake, or say which check failed."""
        words = verdict.handshake
        query = scope["query_string"]
        if words is None and query and not body:
            words = handle.handshake("POST", query, scope["headers"], body, time.time())
        if words is not None:
            raise _Answered(answer(200, *words))
        name = verdict.refusal or ""
        status, headers = (400, ()) if name == "body-malformed" else (401, (_CHALLENGE,))
        raise _Answered(self._count(name, problem(status, name, verdict.detail, *headers)))

    def _refusal(self, error: Refused | Unavailable) -> Answer:
        if isinstance(error, Refused):
            return self._count(
                error.problem, problem(error.status, error.problem, str(error), _CLOSE)
            )
        self._note(error)
        wait = str(max(1, math.ceil(error.retry_after_s))).encode()
        return self._count(
            "unavailable", problem(503, "unavailable", _AGAIN, (b"retry-after", wait))
        )

    def _note(self, error: Unavailable) -> None:
        """Log why webhooks can't be taken, now and then."""
        now = time.monotonic()
        if now - self._noted_at >= NOTE_EVERY_S:
            self._noted_at = now
            log.warning("ingest_unavailable", reason=str(error))

    def _count(self, reason: str, done: Answer) -> Answer:
        self._refused[reason] += 1
        return done

    def _subject(self, shard: int) -> str:
        subject = self._subjects[shard] = subjects.ingest(shard)
        return subject

    def tick(self, now: float) -> None:
        """Do what is due now and then: end slow bodies, hand over what was counted."""
        self._bodies.tick(now)
        metrics.INGEST_ACCEPTED.inc(len(self._took))
        metrics.INGEST_SECONDS.tally_all(self._took)
        self._took.clear()
        for reason, count in self._refused.items():
            metrics.INGEST_REFUSED.labels(reason).inc(count)
        self._refused.clear()
        metrics.INGEST_SECONDS.hand_over()
        metrics.PUBLISH_SECONDS.hand_over()
