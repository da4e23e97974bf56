"""The steps by themselves: what is called, what is not, and how much of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from aiohttp import web
from msgspec.structs import replace

from crossdock import ids
from crossdock.delivery.client import Client
from crossdock.delivery.destinations.model import Destination
from crossdock.delivery.destinations.sealing import secret_context
from crossdock.delivery.dispatch.transforming import Sent
from crossdock.delivery.guard import Guard
from crossdock.embedded.ports import free_port
from crossdock.inbound.model import Recipe, Source
from crossdock.inbound.sources.examples import Pasted
from crossdock.native import Source as Verifier
from crossdock.native import generate_secret
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer
from crossdock.simulations import matching, steps, transforming
from crossdock.simulations.model import MOST_DESTINATIONS, Incoming
from crossdock.simulations.steps import Held
from crossdock.simulations.transforming import Load

TENANT = ids.new()
NOW = datetime.now(UTC)
SEALER = Sealer(bytes(32))
SECRET = generate_secret("standard")
BODY = b'{"type": "invoice.paid"}'


def source(**fields: Any) -> Source:
    whole: dict[str, Any] = {
        "tenant_id": TENANT,
        "id": ids.new(),
        "name": "s",
        "scheme": "none",
        "state": "active",
        "recipe": Recipe(),
        "secrets": (),
        "token_hash": b"",
        "token_sealed": b"",
        "max_body_bytes": 100,
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Source(**(whole | fields))


def incoming(body: bytes = BODY, **fields: Any) -> Incoming:
    return Incoming(
        source=source(**fields),
        secrets=(),
        request=Pasted([(b"content-type", b"application/json")], body, "/"),
        content_type="application/json",
        now=NOW.timestamp(),
        event_id=ids.new(),
    )


def destination(url: str, **fields: Any) -> Destination:
    key = ids.new()
    sealed = SEALER.seal(SECRET.encode(), context=secret_context(TENANT, key))
    whole: dict[str, Any] = {
        "tenant_id": TENANT,
        "id": key,
        "name": f"d {key}",
        "url": url,
        "state": "enabled",
        "disabled_reason": None,
        "source_ids": (),
        "event_types": (),
        "secrets": (SealedSecret("one", sealed),),
        "retry": None,
        "timeout_s": 5.0,
        "failing_since": None,
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Destination(**(whole | fields))


def plain(called: list[Destination], given: Incoming) -> dict[UUID, Load]:
    """Return what is sent where nobody has a script."""
    return {one.id: Sent(transforming.cargo(given, "a.b")) for one in called}


class Endpoint:
    """A tenant's endpoint, and what came to it."""

    def __init__(self) -> None:
        self.url = ""
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.let_go = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        """Answer as the path says."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.taken.append((headers, await request.read()))
        if request.path == "/slow":
            await self.let_go.wait()
        return web.Response(status=int(request.query.get("status", "200")))


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    found = Endpoint()
    app = web.Application()
    app.router.add_post("/{path:.*}", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    found.url = f"http://127.0.0.1:{port}"
    yield found
    found.let_go.set()
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(Guard(allowed_ports=(), allow_loopback=True), connections=9) as opened:
        yield opened


async def test_what_is_delivered_is_signed_as_ever(endpoint: Endpoint, client: Client) -> None:
    one = incoming()
    called = [destination(endpoint.url)]
    step = await steps.deliver(called, plain(called, one), client, SEALER, 5.0)
    assert (step.outcome, step.destinations[0].status) == ("passed", 200)
    [(headers, body)] = endpoint.taken
    assert body == BODY
    assert headers["webhook-id"] == ids.encode("evt", one.event_id)
    recipe = msgspec.json.encode({"scheme": "standard", "secrets": [SECRET]})
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    verdict = Verifier(recipe).verify("POST", "/", pairs, body, time.time())
    assert verdict.refusal is None


async def test_only_a_few_are_called_and_the_rest_is_told(
    endpoint: Endpoint, client: Client
) -> None:
    called = [destination(endpoint.url) for _ in range(MOST_DESTINATIONS + 3)]
    step = await steps.deliver(called, plain(called, incoming()), client, SEALER, 5.0)
    assert len(endpoint.taken) == MOST_DESTINATIONS
    assert len(step.destinations) == MOST_DESTINATIONS
    assert step.detail.endswith("Not called: 3.")


async def test_one_that_never_answers_holds_up_no_other(endpoint: Endpoint, client: Client) -> None:
    called = [destination(f"{endpoint.url}/slow", timeout_s=1.0), destination(endpoint.url)]
    step = await steps.deliver(called, plain(called, incoming()), client, SEALER, 60.0)
    slow, quick = step.destinations
    assert (slow.status, (slow.error or "").partition(":")[0]) == (None, "timeout")
    assert quick.status == 200
    assert step.outcome == "failed"


async def test_an_address_that_is_not_public_is_not_called(endpoint: Endpoint) -> None:
    async with Client(Guard(allowed_ports=()), connections=1) as guarded:
        called = [destination(endpoint.url)]
        step = await steps.deliver(called, plain(called, incoming()), guarded, SEALER, 5.0)
    assert step.destinations[0].error == "refused: the address is not public"
    assert endpoint.taken == []


async def test_a_secret_that_does_not_open_is_told_and_nothing_is_called(
    endpoint: Endpoint, client: Client
) -> None:
    called = [destination(endpoint.url, secrets=(SealedSecret("one", b"x" * 60),))]
    step = await steps.deliver(called, plain(called, incoming()), client, SEALER, 5.0)
    assert (step.destinations[0].error or "").startswith("internal")
    assert endpoint.taken == []


def test_size_and_media_type_come_before_the_signature() -> None:
    large = steps.verify(incoming(b"x" * 101))
    assert (large.outcome, large.event_type) == ("failed", None)
    assert "100 bytes" in large.detail
    other = steps.verify(incoming(content_types=("text/plain",)))
    assert other.outcome == "failed"
    assert steps.verify(incoming(content_types=("application/json",))).outcome == "passed"


def test_what_a_tenant_published_is_not_verified() -> None:
    own = msgspec.structs.replace(incoming(scheme="api"), published_as="order.paid")
    step = steps.verify(own)
    assert (step.outcome, step.event_type) == ("skipped", "order.paid")


def test_a_payload_is_held_to_its_schema() -> None:
    schema = '{"type": "object", "required": ["id", "type"]}'
    assert steps.validate(BODY, None).outcome == "skipped"
    assert steps.validate(BODY, Held("off", 1, "no schema")).outcome == "skipped"
    broken = steps.validate(BODY, Held("reject", 3, schema))
    assert broken.outcome == "failed"
    assert "refused" in broken.detail
    assert len(broken.violations) == 1
    kept = steps.validate(b'{"id": 1, "type": "a"}', Held("warn", 3, schema))
    assert kept.outcome == "passed"
    assert "version 3" in kept.detail


def test_a_match_is_by_source_and_type() -> None:
    one = incoming()
    mine = destination("http://a", source_ids=(one.source.id,))
    others = destination("http://b", source_ids=(ids.new(),))
    typed = destination("http://c", event_types=("invoice.*",))
    told = matching.step(judged([mine, others, typed], one, "invoice.paid"), one)
    assert [found.destination_id for found in told.destinations] == [mine.id, typed.id]
    assert [(found.destination_id, found.why_not) for found in told.unwanting] == [
        (others.id, "source")
    ]
    told = matching.step(judged([mine, typed], one, "order.paid"), one)
    assert [found.why_not for found in told.unwanting] == ["type"]
    paused = incoming(state="paused")
    assert "paused" in matching.step([], paused).detail


def test_a_filter_decides_and_says_what_is_wrong_with_it() -> None:
    one = incoming()
    texts = ["event.type == 'invoice.paid'", "event.type == 'x'", "payload.nothing.at == 1"]
    taking, not_taking, wrong = (
        replace(destination("http://a"), id=ids.new(), filter=text) for text in texts
    )
    told = matching.step(judged([taking, not_taking, wrong], one, "invoice.paid"), one)
    assert [found.destination_id for found in told.destinations] == [taking.id]
    assert [(found.why_not, found.detail) for found in told.unwanting] == [
        ("filter", None),
        ("filter_error", "no such key: nothing"),
    ]


def judged(destinations: list[Destination], one: Incoming, event_type: str) -> matching.Verdicts:
    """Judge what comes in."""
    cargo = transforming.cargo(one, event_type)
    return matching.verdicts(destinations, cargo, event_type, None)
