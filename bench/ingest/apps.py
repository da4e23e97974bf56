"""What the gateway is compared with, on the same server."""

import hashlib
import hmac
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import nats
from litestar import Litestar, Request, post
from litestar.exceptions import NotAuthorizedException, NotFoundException
from nats.js import JetStreamContext

from bench.ingest.webhooks import SECRET
from crossdock import config, ids, process
from crossdock.memory import settle_memory
from gateway.app import from_environment
from gateway.asgi import Application, Receive, Scope, Send, answer
from gateway.ingest import Ingest
from proto import subjects

TOKEN_VARIABLE: Final = "BENCH_TOKEN"
TOLERANCE_S: Final = 300

_DONE: Final = answer(202, "application/json", b'{"id":"evt_01m839t15ae09aegqr0j9hdpw3"}')


def no_work() -> Application:
    """Answer 202 and do nothing at all, not even look at the body."""
    process.die_with_parent()
    settle_memory()
    return _answer_at_once


async def _answer_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await _DONE.send_to(send)


def uncounted() -> Application:
    """Return the product with nothing counted against limits: what they cost is the difference."""
    Ingest._charge = _charge_nothing  # type: ignore[method-assign,assignment]  # noqa: SLF001
    return from_environment()


def _charge_nothing(_self: Ingest, _asked: object) -> None:
    return None


class _Event(msgspec.Struct):
    id: str
    type: str


class _Taken(msgspec.Struct):
    id: str


def plain() -> Litestar:
    """Return how one would do it without much thought: a handler, `hmac`, `js.publish` awaited."""
    process.die_with_parent()
    settings = config.load().nats
    known = os.environ[TOKEN_VARIABLE]
    state: dict[str, JetStreamContext] = {}

    @asynccontextmanager
    async def connected(_app: Litestar) -> AsyncIterator[None]:
        client = await nats.connect(settings.url, user=settings.user, password=settings.password)
        state["js"] = client.jetstream()
        yield
        await client.close()

    @post("/in/{token:str}", status_code=202)
    async def take(token: str, request: Request[Any, Any, Any]) -> _Taken:
        if token != known:
            raise NotFoundException
        body = await request.body()
        _verify(request.headers.get("stripe-signature", ""), body)
        event = msgspec.json.decode(body, type=_Event)
        message_id = ids.new().hex
        headers = {"Nats-Msg-Id": message_id, "Provider-Id": event.id, "Event-Type": event.type}
        await state["js"].publish(subjects.ingest(0), body, headers=headers)
        return _Taken(message_id)

    return Litestar([take], lifespan=[connected], openapi_config=None, logging_config=None)


def _verify(header: str, body: bytes) -> None:
    """Check a `Stripe-Signature` header as Stripe's documentation says."""
    parts = [part.partition("=") for part in header.split(",")]
    sent = next((value for name, _, value in parts if name == "t"), "")
    expected = hmac.new(SECRET.encode(), sent.encode() + b"." + body, hashlib.sha256).hexdigest()
    found = (value for name, _, value in parts if name == "v1")
    if not any(hmac.compare_digest(expected, one) for one in found):
        raise NotAuthorizedException
    if abs(time.time() - int(sent)) > TOLERANCE_S:
        raise NotAuthorizedException
