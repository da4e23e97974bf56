"""What stands around the REST API, whatever happens inside of it.

HEAD wherever there is GET, origins that may call, an end to requests that take too long, an answer
where nobody made one, and the rest of a body that nobody read.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import Final

import structlog

from crossdock import ids
from crossdock.config import GatewaySettings
from gateway import problems
from gateway.asgi import Answer, Application, Header, Message, Receive, Scope, Send, answer, problem
from gateway.edge.cors import Cors
from gateway.edge.headers import ALWAYS, transport
from gateway.edge.unread import Drained
from gateway.streaming import IS_HEAD

DEADLINE_S: Final = 45.0
"""Of a whole request. Every part has a shorter one of its own, so this is for what nobody foresaw;
it is shorter than the minute after which most proxies give up."""

EVENT_STREAM: Final = b"text/event-stream"
"""An answer of this kind has begun in time, and may then go on for long."""

_LATE: Final = "This took too long and was given up; whether it had its effect is not known."
_WAIT: Final = (b"retry-after", b"5")

log = structlog.get_logger(__name__)


def edged(app: Application, settings: GatewaySettings) -> Application:
    """Return an application with its edge.

    Raises:
        ConfigurationError: an origin that may call is no origin.
    """
    return Drained(Edge(app, Cors(settings.cors_origins), transport(settings.public_url)))


class Edge:
    """All of it but bodies."""

    def __init__(
        self,
        app: Application,
        cors: Cors,
        promised: tuple[Header, ...],
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._app = app
        self._cors = cors
        self._promised = promised
        self._deadline_s = deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        preflight = self._cors.preflight(scope)
        if preflight is not None:
            await preflight.send_to(send, *ALWAYS, *self._promised)
            return
        sending = Sending(send, self._cors.headers(scope), is_head=scope["method"] == "HEAD")
        if sending.is_head:
            scope["method"] = "GET"
            scope[IS_HEAD] = True
        late = await self._serve(scope, receive, sending)
        if late is not None and not sending.started:
            await late.send_to(sending.send, *self._promised)

    async def _serve(self, scope: Scope, receive: Receive, sending: "Sending") -> Answer | None:
        """Have the request served; return what else to answer where it was not."""
        deadline = asyncio.timeout(self._deadline_s)
        sending.on_stream = lambda: deadline.reschedule(None)
        try:
            async with deadline:
                await self._app(scope, receive, sending.send)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            if deadline.expired():
                log.error("request_late", method=scope["method"], path=scope["path"])
                instance = problems.instance_of(scope["path"])
                return problem(503, "unavailable", _LATE, _WAIT, instance=instance)
            return failed(scope["method"], scope["path"], error)
        return None


class Sending:
    """An answer on its way out."""

    def __init__(self, send: Send, more: tuple[Header, ...], *, is_head: bool) -> None:
        self._send = send
        self._more = more
        self.is_head = is_head
        self.started = False
        self.on_stream: Callable[[], None] = _nothing
        """Called when the answer begins, if it is one that goes on."""

    async def send(self, message: Message) -> None:
        """Send a part of it, with what the edge adds."""
        if message["type"] == "http.response.start":
            self.started = True
            if any(_is_stream(*header) for header in message.get("headers", ())):
                self.on_stream()
            headers = [_allowing_head(header) for header in message.get("headers", ())]
            message = {**message, "headers": [*headers, *self._more]}
        elif self.is_head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


def _nothing() -> None:
    """Do nothing."""


def _is_stream(name: bytes, value: bytes) -> bool:
    return name.lower() == b"content-type" and value.startswith(EVENT_STREAM)


def _allowing_head(header: Header) -> Header:
    """Return a header of an answer; where it tells of GET, it tells of HEAD too."""
    name, value = header
    if name.lower() != b"allow" or b"GET" not in value or b"HEAD" in value:
        return header
    return name, b", ".join(sorted({*value.split(b", "), b"HEAD"}))


def failed(method: str, path: str, error: Exception) -> Answer:
    """Return the answer where an application itself broke, which it never should."""
    instance = uuid.UUID(bytes=ids.new().bytes).urn
    log.error(
        "request_failed",
        instance=instance,
        method=method,
        path=path,
        exc_info=error,
    )
    text = problems.encode(problems.problem(500, "internal", instance=instance))
    return answer(500, problems.CONTENT_TYPE, text)
