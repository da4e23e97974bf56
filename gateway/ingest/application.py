"""The way of a webhook from its first byte to the broker's word."""

import math
import time
from collections import Counter
from collections.abc import Awaitable
from typing import Final, NoReturn, Protocol

import structlog

from crossdock import native
from crossdock.bus.objects import ObjectWriter
from crossdock.bus.publisher import Publisher
from crossdock.config import GatewaySettings, LimitSettings
from crossdock.errors import Refused, Unavailable
from crossdock.inbound.refusals import Recorder
from crossdock.inbound.sources.prepared import PreparedSource
from crossdock.limits.service import Asked, Limits
from crossdock.native import Taken
from crossdock.telemetry import metrics
from gateway.asgi import Answer, Receive, Scope, Send
from gateway.edge.addresses import Proxies
from gateway.edge.body import Bodies
from gateway.edge.headers import transport
from gateway.edge.layer import failed
from gateway.edge.unread import Drain, farewell
from gateway.ingest import answers
from gateway.ingest.answers import Answered
from gateway.ingest.refused import Refusing
from gateway.ingest.unusual import Special, Unusual
from gateway.limits import BAD_REQUEST, SERVER_ERROR, TOO_MANY, Meter, told
from proto import subjects
from proto.settings import SourceSettings

PREFIX: Final = "/in/"
_TOKEN: Final = slice(len(PREFIX), None)

NOTE_EVERY_S: Final = 5.0

log = structlog.get_logger(__name__)


class Directory(Protocol):
    """Who knows the sources."""

    def get(self, token: str) -> PreparedSource | None:
        """Return the source of a token, from memory."""

    async def lookup(self, token: str) -> PreparedSource | None:
        """Return the source of a token that is not in memory, or `None` when there is none."""

    def schemas(self, tenant_id: bytes) -> native.Schemas | None:
        """Return what a tenant's payloads are held to, from memory; `None` for nothing."""

    def preparing(self, tenant_id: bytes) -> Awaitable[None] | None:
        """Return what to wait for before `schemas` is asked, if there is anything."""


class Ingest:
    """The ASGI application below `/in/`."""

    def __init__(
        self,
        directory: Directory,
        publisher: Publisher,
        settings: GatewaySettings,
        meter: Meter | None = None,
        *,
        objects: ObjectWriter | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """Take webhooks.

        Args:
            directory: knows the sources.
            publisher: brings webhooks to the broker.
            settings: the gateway's.
            meter: what senders are charged by; by default a table of this object's own.
            objects: takes bodies that are too large for a message; without it they are refused.
            recorder: takes note of refusals; by default one that nobody reads.
        """
        self._directory = directory
        self._meter = meter or Meter(Limits(LimitSettings()), Proxies(settings.trusted_proxies))
        self._limits = self._meter.limits
        self._publisher = publisher
        self._max_body_bytes = settings.max_body_bytes
        self._inline_bytes = settings.inline_body_bytes
        self._public_url = settings.public_url.rstrip("/")
        self._bodies = Bodies(settings.body_timeout_s)
        self._unusual = Unusual(settings, objects)
        self._refusing = Refusing(recorder or Recorder(), self._meter)
        self._drain = Drain()
        self._transport = transport(settings.public_url)
        accepted = answers.ACCEPTED
        self._accepted = {**accepted, "headers": [*accepted["headers"], *self._transport]}
        self._subjects: dict[int, str] = {}
        self._took: list[float] = []
        """Seconds that each webhook accepted since the last tick took."""
        self._refused: Counter[str] = Counter()
        self._noted_at = -math.inf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        source = body = special = None
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
                _turn_away(settings)
            limit, most = settings.max_body_bytes, self._max_body_bytes
            limit = limit if 0 < limit <= most else most
            length = native.content_length(scope["headers"])
            if source.is_unusual or not 0 <= length <= self._inline_bytes:
                special = self._unusual.admit(source, scope, length, limit)
            hold = None if special is None else special.hold
            body = await self._bodies.read(receive, length, limit, hold)
            message = await self._take(source, scope, body, special)
            taken = self._charge(source.limits)
            if special is not None:
                await special.store(message, body)
            text = message.answer
            stored = self._publisher.publish(message)
            # Nothing of the webhook is kept here while the broker is waited for.
            body = b""
            del message
            await stored
        except Answered as early:
            await self._finish(early.about(source), scope, receive, send, body)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            refused = self._refusal(error, scope).about(source)
            await self._finish(refused, scope, receive, send, body)
        else:
            accepted = self._accepted
            if taken is not None:
                headers = accepted["headers"] + taken.headers
                accepted = {"type": "http.response.start", "status": 202, "headers": headers}
            await send(accepted)
            await send({"type": "http.response.body", "body": text})
            self._took.append(time.perf_counter() - began)
        finally:
            if special is not None:
                special.end()

    async def _take(
        self, source: PreparedSource, scope: Scope, body: bytes, special: Special | None
    ) -> native.Message:
        """Return the message of a webhook that is genuine."""
        settings = source.settings
        preparing = self._directory.preparing(settings.tenant_id)
        if preparing is not None:
            await preparing
        url = self._public_url + scope["path"]
        if scope["query_string"]:
            url = f"{url}?{scope['query_string'].decode('latin-1')}"
        message = native.take_webhook(
            source.native,
            self._subjects.get(settings.shard) or self._subject(settings.shard),
            (settings.tenant_id, settings.source_id),
            url,
            scope["headers"],
            body,
            time.time(),
            self._directory.schemas(settings.tenant_id),
            holds=settings.holds,
            apart=special is not None and special.is_apart(body),
            fields=None if special is None else special.fields,
        )
        if not isinstance(message, native.Message):
            self._not_taken(message, source, scope, body)
        return message

    async def _finish(
        self, early: Answered, scope: Scope, receive: Receive, send: Send, body: bytes | None
    ) -> None:
        """Answer what is no stored webhook, then drain what was not read of it."""
        if early.reason:
            self._refused[early.reason] += 1
        if early.source is not None:
            self._refusing.note(early.source.settings, early, scope, body)
        done, taken = self._charged(early, scope)
        headers = [*told(done.start, taken), *self._transport]
        if body is None:
            headers += farewell(scope["headers"])
        await send({**done.start, "headers": headers})
        await send(done.body)
        if body is None:
            await self._drain.take(scope, receive)

    def _charge(self, asked: Asked) -> Taken | None:
        """Count a genuine webhook against its source's limits, where there are any."""
        if not asked:
            return None
        taken = self._limits.take(asked)
        if taken.admitted:
            return taken
        raise answers.limited("rate-limited", taken)

    def _charged(self, early: Answered, scope: Scope) -> tuple[Answer, Taken]:
        """Charge a refusal to its address, which is told so once it had too many.

        Junk drains no tenant: who sends it is the address. What a limit, a quota or a schema
        refused was genuine or cost nothing, and what we could not take is nobody's fault.
        """
        status = early.answer.start["status"]
        if early.taken is not None:
            return early.answer, early.taken
        is_junk = BAD_REQUEST <= status < SERVER_ERROR and status != TOO_MANY
        if early.is_genuine or not is_junk:
            return early.answer, self._meter.peek_address(scope)
        taken = self._meter.take_address(scope)
        if taken.admitted:
            return early.answer, taken
        self._refused["address-limited"] += 1
        return answers.limited("address-limited", taken).answer, taken

    async def _look_up(self, scope: Scope) -> PreparedSource:
        """Return a source that is not in memory.

        An address that was refused too often is not worth a look anywhere else.
        """
        seen = self._meter.peek_address(scope)
        if not seen.admitted:
            raise answers.limited("address-limited", seen)
        source = await self._directory.lookup(scope["path"][_TOKEN])
        if source is None:
            raise answers.unknown_source()
        return source

    async def _ask(self, scope: Scope) -> NoReturn:
        """Answer a handshake, which is all that GET is for."""
        if scope["method"] != "GET":
            raise answers.wrong_method()
        source = self._directory.get(scope["path"][_TOKEN]) or await self._look_up(scope)
        query = scope["query_string"]
        words = source.native.handshake("GET", query, scope["headers"], b"", time.time())
        if words is not None:
            raise answers.handshake(*words)
        raise answers.wrong_method(source)

    def _not_taken(
        self,
        found: native.Verdict | native.Rejected,
        source: PreparedSource,
        scope: Scope,
        body: bytes,
    ) -> NoReturn:
        """Answer a handshake, or say which check failed."""
        if isinstance(found, native.Rejected):
            # Whose schema it breaks is charged for it, like for any other of their webhooks.
            taken = self._charge(source.limits)
            raise answers.schema_violated(found.event_type, found.violations, taken)
        words = found.handshake
        query = scope["query_string"]
        if words is None and query and not body:
            words = source.native.handshake("POST", query, scope["headers"], body, time.time())
        if words is not None:
            raise answers.handshake(*words)
        raise answers.not_verified(found.refusal or "", found.detail)

    def _refusal(self, error: Exception, scope: Scope) -> Answered:
        """Return the answer to what ended in an error."""
        if isinstance(error, Refused):
            return answers.refused(error)
        if not isinstance(error, Unavailable):
            return Answered("internal", failed(scope["method"], answers.HIDDEN, error))
        self._note(error)
        return answers.unavailable(error.retry_after_s)

    def _note(self, error: Unavailable) -> None:
        """Log why webhooks can't be taken, now and then."""
        now = time.monotonic()
        if now - self._noted_at >= NOTE_EVERY_S:
            self._noted_at = now
            log.warning("ingest_unavailable", reason=str(error))

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


def _turn_away(settings: SourceSettings) -> None:
    """Say why a source takes nothing; return if it was blocked, and is no more."""
    closed = answers.closed(settings)
    if closed is not None:
        raise closed
