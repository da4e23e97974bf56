"""Webhooks held to the schema of their type, in each mode, and held back by a paused source."""

import time

import httpx
import msgspec
import pytest
from prometheus_client import REGISTRY

from crossdock.bus import Bus
from gateway.ingest import Ingest
from tests.beds.limits import left
from tests.integration.ingest.conftest import Source, Sources, events

SECRET = "whsec_" + "5ba1e0f2" * 8
SCHEMA = {
    "type": "object",
    "properties": {"data": {"properties": {"total": {"type": "integer"}}}},
    "required": ["data"],
}
GOOD = b'{"id":"evt_1","type":"order.paid","data":{"total":7}}'
BAD = b'{"id":"evt_2","type":"order.paid","data":{"total":"seven"}}'
STATUSES = {"off": "", "warn": "warned", "quarantine": "quarantined"}
OTHER = b'{"id":"evt_3","type":"order.sent","data":{"total":"seven"}}'


@pytest.fixture
def stripe(sources: Sources) -> Source:
    return sources.add("stripe", SECRET)


async def send(http: httpx.AsyncClient, source: Source, body: bytes) -> httpx.Response:
    headers = source.signed(body, time.time()) | {"content-type": "application/json"}
    return await http.post(f"/in/{source.token}", content=body, headers=headers)


@pytest.mark.parametrize("mode", STATUSES)
async def test_what_breaks_its_schema_is_taken_and_marked(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, stripe: Source, mode: str
) -> None:
    sources.holds_to(stripe, mode, SCHEMA, "order.paid")

    answer = await send(http, stripe, BAD)

    assert answer.status_code == 202
    (stored,) = (await events(bus)).values()
    assert (stored.status, stored.body) == (STATUSES[mode], BAD)
    if mode == "off":
        assert (stored.violation, stored.schema_version) == ("", 0)
    else:
        assert stored.schema_version == 7
        (violation,) = msgspec.json.decode(stored.violation)
        assert violation["pointer"] == "/data/total"
        assert violation["detail"]


async def test_what_is_to_be_rejected_is_told_where(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, stripe: Source
) -> None:
    sources.holds_to(stripe, "reject", SCHEMA, "order.paid")

    bad, good, other = [await send(http, stripe, body) for body in (BAD, GOOD, OTHER)]

    assert bad.status_code == 422
    problem = bad.json()
    assert problem["type"] == "/problems/schema-violated"
    assert problem["instance"] == "/in/***"
    assert [error["pointer"] for error in problem["errors"]] == ["/data/total"]
    assert (good.status_code, other.status_code) == (202, 202)
    stored = await events(bus)
    assert set(stored) == {good.json()["id"], other.json()["id"]}
    assert stored[good.json()["id"]].schema_version == 7
    assert stored[other.json()["id"]].schema_version == 0


async def test_a_body_that_is_no_json_breaks_any_schema(
    http: httpx.AsyncClient, bus: Bus, sources: Sources
) -> None:
    github = sources.add("github", "s3cret")
    sources.holds_to(github, "quarantine", {}, "push")
    body = b"payload=%7B%7D"
    headers = github.signed(body, time.time()) | {
        "content-type": "application/x-www-form-urlencoded",
        "x-github-event": "push",
    }

    answer = await http.post(f"/in/{github.token}", content=body, headers=headers)

    assert answer.status_code == 202
    (stored,) = (await events(bus)).values()
    assert stored.status == "quarantined"
    assert msgspec.json.decode(stored.violation)[0]["pointer"] == ""


async def test_nothing_is_said_of_what_nobody_signed(
    http: httpx.AsyncClient, sources: Sources, stripe: Source
) -> None:
    sources.holds_to(stripe, "reject", SCHEMA, "order.paid")
    headers = stripe.signed(GOOD, time.time())

    answer = await http.post(f"/in/{stripe.token}", content=BAD, headers=headers)

    assert answer.status_code == 401
    assert "errors" not in answer.json()


async def test_a_schema_is_its_tenants(
    http: httpx.AsyncClient, sources: Sources, stripe: Source
) -> None:
    other = sources.add("stripe", SECRET)
    sources.holds_to(other, "reject", SCHEMA, "order.paid")

    assert (await send(http, stripe, BAD)).status_code == 202
    assert (await send(http, other, BAD)).status_code == 422


async def test_a_rejected_webhook_is_charged_like_a_genuine_one(
    http: httpx.AsyncClient, sources: Sources, ingest: Ingest
) -> None:
    def rejected() -> float:
        labels = {"reason": "schema-violated"}
        return REGISTRY.get_sample_value("crossdock_ingest_refused_total", labels) or 0.0

    source = sources.add("stripe", SECRET, webhooks_per_minute=3)
    sources.holds_to(source, "reject", SCHEMA, "order.paid")
    ingest.tick(time.monotonic())
    before = rejected()

    answers = [await send(http, source, BAD) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]
    assert [left(answer).remaining for answer in answers[:3]] == [2, 1, 0]
    ingest.tick(time.monotonic())
    assert rejected() - before == 3


@pytest.mark.parametrize(
    ("mode", "body"),
    [("warn", GOOD), ("warn", BAD), ("quarantine", BAD)],
    ids=["good", "warned", "quarantined"],
)
async def test_a_source_that_buffers_takes_and_holds(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, mode: str, body: bytes
) -> None:
    source = sources.add("stripe", SECRET, holds=True)
    sources.holds_to(source, mode, SCHEMA, "order.paid")

    answer = await send(http, source, body)

    assert answer.status_code == 202
    (stored,) = (await events(bus)).values()
    assert stored.status == ("held" if mode == "warn" else "quarantined")
    assert bool(stored.violation) == (body == BAD)


async def test_a_plain_message_has_no_tail(
    http: httpx.AsyncClient, bus: Bus, stripe: Source
) -> None:
    await send(http, stripe, GOOD)

    jetstream = bus.jetstream()
    message = await jetstream.get_last_msg("INGEST", "ingest.0")
    assert message.data is not None
    assert len(msgspec.msgpack.decode(message.data)) == 11
