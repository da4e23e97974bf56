"""`POST /in/{token}`: a provider's webhook, verified, stored by the broker, answered with 202.

This is the path that must be fast: no framework, no database, no task or timer of its own a
request. What a request costs, step by step, is in `docs/decisions/`; `make bench-ingest` measures.
"""

import math
import time
from collections import Counter
from functools import partial
from typing import Final, NoReturn, Protocol

import structlog

from crossdock import native
from crossdock.bus.publisher import Publisher
from crossdock.config import GatewaySettings, LimitSettings
from crossdock.errors import Refused, TimedOut, Unavailable
from crossdock.inbound.prepared import PreparedSource
from crossdock.limits.service import Asked, Limits
from crossdock.native import Taken
from crossdock.telemetry import metrics
from gateway.asgi import Answer, Receive, Scope, Send, answer, problem
from gateway.edge.addresses import Proxies
from gateway.edge.body import Bodies
from gateway.edge.headers import transport
from gateway.edge.layer import failed
from gateway.edge.unread import CLOSE, Drain, farewell
from gateway.limits import BAD_REQUEST, SERVER_ERROR, TOO_MANY, Meter, over, told
from proto import subjects
from proto.settings import SourceSettings

PREFIX: Final = "/in/"
_TOKEN: Final = slice(len(PREFIX), None)

HIDDEN: Final = f"{PREFIX}***"
"""Every problem's `instance`. The path itself is not repeated: whoever has its token can send."""
_problem: Final = partial(problem, instance=HIDDEN)

_ALLOW: Final = (b"allow", b"GET, POST")
_ALLOW_POST: Final = (b"allow", b"POST")
"""Of a source whose provider asks nothing."""
_CHALLENGE: Final = (b"www-authenticate", b"Signature")

_ACCEPTED: Final = answer(202, "application/json", b"").start
_UNKNOWN: Final = _problem(404, "unknown-source", "No source has this address.")
_METHOD: Final = _problem(405, "method-not-allowed", "Webhooks are sent with POST.", _ALLOW)
_NO_QUESTION: Final = _problem(
    405, "method-not-allowed", "Webhooks are sent with POST.", _ALLOW_POST
)
_SUSPENDED: Final = _problem(403, "tenant-suspended", "This tenant is suspended.")
_INACTIVE: Final = {
    "paused": _problem(403, "source-paused", "This source is paused."),
    "disabled": _problem(403, "source-disabled", "This source is disabled."),
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

    def __init__(self, answer: Answer, taken: Taken | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.taken = taken
        """What a limit said, where that is why."""


def _over(taken: Taken) -> Answer:
    error = over(taken)
    return _problem(429, error.problem, str(error), policies=error.policies)


class Ingest:
    """The ASGI application below `/in/`."""

    def __init__(
        self,
        directory: Directory,
        publisher: Publisher,
        settings: GatewaySettings,
        meter: Meter | None = None,
    ) -> None:
        """Take webhooks.

        Args:
            directory: knows the sources.
            publisher: brings webhooks to the broker.
            settings: the gateway's.
            meter: what senders are charged by; by default a table of this object's own.
        """
        self._directory = directory
        self._meter = meter or Meter(Limits(LimitSettings()), Proxies(settings.trusted_proxies))
        self._limits = self._meter.limits
        self._publisher = publisher
        self._max_body_bytes = settings.max_body_bytes
        self._public_url = settings.public_url.rstrip("/")
        self._bodies = Bodies(settings.body_timeout_s)
        self._drain = Drain()
        self._transport = transport(settings.public_url)
        self._accepted = {**_ACCEPTED, "headers": [*_ACCEPTED["headers"], *self._transport]}
        self._subjects: dict[int, str] = {}
        self._took: list[float] = []
        """Seconds that each webhook accepted since the last tick took."""
        self._refused: Counter[str] = Counter()
        self._noted_at = -math.inf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        whole = False
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
            whole = True
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
            taken = self._charge(source.limits)
            text = message.answer
            stored = self._publisher.publish(message)
            # Nothing of the webhook is kept here while the broker is waited for.
            del body, message
            await stored
        except _Answered as early:
            await self._finish(early, scope, receive, send, whole=whole)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            refused = _Answered(self._refusal(error, scope))
            await self._finish(refused, scope, receive, send, whole=whole)
        else:
            accepted = self._accepted
            if taken is not None:
                headers = accepted["headers"] + taken.headers
                accepted = {"type": "http.response.start", "status": 202, "headers": headers}
            await send(accepted)
            await send({"type": "http.response.body", "body": text})
            self._took.append(time.perf_counter() - began)

    async def _finish(
        self, early: _Answered, scope: Scope, receive: Receive, send: Send, *, whole: bool
    ) -> None:
        """Answer what is no stored webhook, then drain what was not read of it."""
        done, taken = self._charged(early, scope)
        headers = [*told(done.start, taken), *self._transport]
        if not whole:
            headers += farewell(scope["headers"])
        await send({**done.start, "headers": headers})
        await send(done.body)
        if not whole:
            await self._drain.take(scope, receive)

    def _charge(self, asked: Asked) -> Taken | None:
        """Count a genuine webhook against its source's limits, where there are any."""
        if not asked:
            return None
        taken = self._limits.take(asked)
        if taken.admitted:
            return taken
        raise _Answered(self._count("rate-limited", _over(taken)), taken)

    def _charged(self, early: _Answered, scope: Scope) -> tuple[Answer, Taken]:
        """Charge a refusal to its address, which is told so once it had too many.

        Junk drains no tenant: who sends it is the address. What a limit or a quota refused was
        genuine or cost nothing, and what we could not take is nobody's fault.
        """
        status = early.answer.start["status"]
        if early.taken is not None:
            return early.answer, early.taken
        if status == TOO_MANY or not BAD_REQUEST <= status < SERVER_ERROR:
            return early.answer, self._meter.peek_address(scope)
        taken = self._meter.take_address(scope)
        if taken.admitted:
            return early.answer, taken
        return self._count("address-limited", _over(taken)), taken

    async def _look_up(self, scope: Scope) -> PreparedSource:
        """Return a source that is not in memory.

        An address that was refused too often is not worth a look anywhere else.
        """
        seen = self._meter.peek_address(scope)
        if not seen.admitted:
            raise _Answered(self._count("address-limited", _over(seen)), seen)
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
            raise _Answered(self._count("method-not-allowed", _NO_QUESTION))
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
            blocked = _problem(429, "quota-exceeded", _QUOTA, wait)
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
        raise _Answered(self._count(name, _problem(status, name, verdict.detail, *headers)))

    def _refusal(self, error: Exception, scope: Scope) -> Answer:
        """Return the answer to what ended in an error."""
        if isinstance(error, Refused):
            last = (CLOSE,) if isinstance(error, TimedOut) else ()
            return self._count(
                error.problem, _problem(error.status, error.problem, str(error), *last)
            )
        if not isinstance(error, Unavailable):
            return self._count("internal", failed(scope["method"], HIDDEN, error))
        self._note(error)
        wait = str(max(1, math.ceil(error.retry_after_s))).encode()
        return self._count(
            "unavailable", _problem(503, "unavailable", _AGAIN, (b"retry-after", wait))
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
