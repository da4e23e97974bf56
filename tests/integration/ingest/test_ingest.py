"""A webhook's way from HTTP into the stream, and every other way it may end."""

import asyncio
import time

import httpx
import pytest
from prometheus_client import REGISTRY

from crossdock import ids
from crossdock.bus import Bus
from crossdock.embedded import EmbeddedNats
from crossdock.errors import Unavailable
from gateway.ingest import Ingest
from tests.integration.ingest.conftest import SETTINGS, Source, Sources, events

SECRET = "whsec_" + "5ba1e0f2" * 8
BODY = b'{"id":"evt_1","type":"charge.succeeded"}'


@pytest.fixture
def stripe(sources: Sources) -> Source:
    return sources.add("stripe", SECRET)


def signed(source: Source, body: bytes = BODY) -> dict[str, str]:
    return source.signed(body, time.time()) | {"content-type": "application/json"}


async def test_what_is_answered_202_is_in_the_stream(
    http: httpx.AsyncClient, bus: Bus, stripe: Source
) -> None:
    answers = await asyncio.gather(
        *(http.post(f"/in/{stripe.token}", content=BODY, headers=signed(stripe)) for _ in range(50))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    stored = await events(bus)
    assert {answer.json()["id"] for answer in answers} == set(stored)
    for text, event in stored.items():
        assert ids.decode("evt", text).bytes == event.event_id
        assert (event.tenant_id, event.source_id) == (stripe.tenant_id, stripe.source_id)
        assert event.event_type == "charge.succeeded"
        assert event.body == BODY


async def test_the_id_is_of_its_time(http: httpx.AsyncClient, stripe: Source) -> None:
    answer = await http.post(f"/in/{stripe.token}", content=BODY, headers=signed(stripe))

    made = ids.time_of(ids.decode("evt", answer.json()["id"])).timestamp()
    assert abs(made - time.time()) < 5


async def test_the_public_url_with_its_query_is_what_was_signed(
    http: httpx.AsyncClient, sources: Sources
) -> None:
    twilio = sources.add("twilio", "a-token")
    body, form = b"MessageSid=SM1&Body=Hi", "application/x-www-form-urlencoded"
    headers = twilio.signed(body, time.time(), "?a=1&b=%C3%A9") | {"content-type": form}

    url = f"/in/{twilio.token}?a=1&b=%C3%A9"
    answer = await http.post(url, content=body, headers=headers)
    other = await http.post(f"/in/{twilio.token}?a=2", content=body, headers=headers)

    assert answer.status_code == 202
    assert other.status_code == 401


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({"tenant_state": "suspended"}, "/problems/tenant-suspended"),
        ({"tenant_state": "provisioning"}, "/problems/tenant-suspended"),
        ({"tenant_state": "terminating"}, "/problems/tenant-suspended"),
        ({"tenant_state": "terminated"}, "/problems/tenant-suspended"),
        ({"source_state": "paused"}, "/problems/source-paused"),
        ({"source_state": "disabled"}, "/problems/source-disabled"),
    ],
)
async def test_a_source_that_is_not_open(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, state: dict[str, str], problem: str
) -> None:
    source = sources.add("stripe", SECRET, **state)

    answer = await http.post(f"/in/{source.token}", content=BODY, headers=signed(source))

    assert answer.status_code == 403
    assert answer.json()["type"] == problem
    assert answer.json()["instance"] == "/in/***"
    assert source.token not in answer.text
    assert not await events(bus)


async def test_a_tenant_whose_quota_is_used_up_is_told_when_to_come_again(
    http: httpx.AsyncClient, bus: Bus, sources: Sources
) -> None:
    blocked = sources.add("stripe", SECRET, blocked_until=time.time() + 100)
    once = sources.add("stripe", SECRET, blocked_until=time.time() - 1)

    answer = await http.post(f"/in/{blocked.token}", content=BODY, headers=signed(blocked))
    other = await http.post(f"/in/{once.token}", content=BODY, headers=signed(once))

    assert answer.status_code == 429
    assert 90 <= int(answer.headers["retry-after"]) <= 100
    assert answer.json()["type"].endswith("#quota-exceeded")
    assert other.status_code == 202
    assert len(await events(bus)) == 1


async def test_a_suspended_tenant_is_told_so_whatever_its_quota(
    http: httpx.AsyncClient, sources: Sources
) -> None:
    until = time.time() + 100
    source = sources.add("stripe", SECRET, tenant_state="suspended", blocked_until=until)

    answer = await http.post(f"/in/{source.token}", content=BODY, headers=signed(source))

    assert answer.status_code == 403


async def test_a_sources_own_limit_is_obeyed(http: httpx.AsyncClient, sources: Sources) -> None:
    source = sources.add("stripe", SECRET, max_body_bytes=len(BODY))
    url = f"/in/{source.token}"

    answer = await http.post(url, content=BODY, headers=signed(source))
    larger = await http.post(url, content=BODY + b" ", headers=signed(source, BODY + b" "))

    assert answer.status_code == 202
    assert larger.status_code == 413
    assert larger.json()["type"] == "/problems/too-large"


async def test_settings_that_cannot_be_used_are_our_fault(
    http: httpx.AsyncClient, sources: Sources
) -> None:
    source = sources.add("stripe", "")

    answer = await http.post(f"/in/{source.token}", content=BODY)

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


async def test_what_nobody_foresaw_is_an_answer_too(
    http: httpx.AsyncClient, sources: Sources, stripe: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(token: str) -> None:
        raise RuntimeError(token)

    monkeypatch.setattr(sources, "get", get)

    answer = await http.post(f"/in/{stripe.token}", content=BODY, headers=signed(stripe))

    assert answer.status_code == 500
    assert set(answer.json()) == {"type", "title", "status", "instance"}
    assert answer.json()["instance"].startswith("urn:uuid:")
    assert stripe.token not in answer.text
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["strict-transport-security"].startswith("max-age=")


async def test_an_unknown_source_while_nobody_can_say(
    http: httpx.AsyncClient, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lookup(_token: str) -> None:
        raise Unavailable

    monkeypatch.setattr(sources, "lookup", lookup)

    assert (await http.post("/in/who", content=BODY)).status_code == 503


async def test_a_broker_that_stops_is_503_in_time(
    http: httpx.AsyncClient, private_nats: EmbeddedNats, stripe: Source
) -> None:
    private_nats.pause()
    began = time.monotonic()
    try:
        answer = await http.post(f"/in/{stripe.token}", content=BODY, headers=signed(stripe))
    finally:
        private_nats.resume()

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["type"] == "/problems/unavailable"
    assert time.monotonic() - began < SETTINGS.publish_timeout_s + 1


async def test_a_broker_that_is_gone_is_503_and_comes_back(
    http: httpx.AsyncClient, private_nats: EmbeddedNats, stripe: Source
) -> None:
    await asyncio.to_thread(private_nats.kill)
    url = f"/in/{stripe.token}"
    assert (await http.post(url, content=BODY, headers=signed(stripe))).status_code == 503

    await asyncio.to_thread(private_nats.start)

    async with asyncio.timeout(15):
        while (await http.post(url, content=BODY, headers=signed(stripe))).status_code != 202:
            await asyncio.sleep(0.05)


async def test_what_happened_is_counted(
    http: httpx.AsyncClient, ingest: Ingest, stripe: Source
) -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"crossdock_ingest_{name}", labels) or 0.0

    ingest.tick(time.monotonic())
    before = (
        value("accepted_total"),
        value("seconds_count"),
        value("refused_total", reason="signature-missing"),
        value("refused_total", reason="unknown-source"),
    )
    for _ in range(3):
        await http.post(f"/in/{stripe.token}", content=BODY, headers=signed(stripe))
    await http.post(f"/in/{stripe.token}", content=BODY)
    await http.post("/in/who", content=BODY)
    ingest.tick(time.monotonic())

    after = (
        value("accepted_total"),
        value("seconds_count"),
        value("refused_total", reason="signature-missing"),
        value("refused_total", reason="unknown-source"),
    )
    assert [b - a for a, b in zip(before, after, strict=True)] == [3, 3, 1, 1]
