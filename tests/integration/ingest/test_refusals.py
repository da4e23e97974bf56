"""Refused webhooks: noted by the gateway, without their secrets."""

import hashlib
import time

import httpx
import msgspec
import pytest

from crossdock import ids
from crossdock.bus import Bus
from crossdock.bus.publisher import Publisher
from crossdock.config import LimitSettings
from crossdock.embedded import EmbeddedNats
from crossdock.inbound.refusals import Recorder
from crossdock.inbound.refusals.recorder import Noted
from crossdock.inbound.refusals.rules import HIDDEN
from crossdock.limits.service import Limits
from gateway.edge.addresses import Proxies
from gateway.ingest import Ingest
from gateway.limits import Meter
from tests.integration.ingest.conftest import SETTINGS, Source, Sources

SECRET = "whsec_" + "5ba1e0f2" * 8
BODY = b'{"id":"evt_1","type":"charge.succeeded","pan":"4242424242424242"}'
SCHEMA = {"properties": {"pan": {"type": "integer"}}}


@pytest.fixture
def stripe(sources: Sources) -> Source:
    return sources.add("stripe", SECRET)


def noted(recorder: Recorder, source: Source) -> Noted:
    """Return what is noted of a source, if that is all there is."""
    ((tenant, sources),) = recorder.take().items()
    ((one, found),) = sources.items()
    assert (tenant.bytes, one.bytes) == (source.tenant_id, source.source_id)
    return found


async def test_a_wrong_signature_is_kept_without_it(
    http: httpx.AsyncClient, recorder: Recorder, stripe: Source
) -> None:
    forged = stripe.signed(b"other", time.time())
    headers = forged | {"content-type": "application/json", "cookie": "c00kie", "x-odd": "e"}

    answer = await http.post(f"/in/{stripe.token}?q=s3cret", content=BODY, headers=headers)

    found = noted(recorder, stripe)
    assert found.counts == {"signature-invalid": 1}
    (refusal,) = found.kept
    assert refusal.reason == "signature-invalid"
    assert refusal.detail == answer.json()["detail"]
    assert (refusal.method, refusal.address) == ("POST", "127.0.0.1")
    assert (refusal.size, refusal.body_sha256) == (len(BODY), hashlib.sha256(BODY).digest())
    shown = dict(refusal.headers)
    assert shown["content-type"] == "application/json"
    assert shown["stripe-signature"] == shown["cookie"] == shown["x-odd"] == HIDDEN
    whole = repr(msgspec.structs.asdict(refusal))
    for secret in (forged["stripe-signature"], "c00kie", "4242", "s3cret", stripe.token):
        assert secret not in whole
    assert abs(ids.time_of(refusal.id).timestamp() - time.time()) < 5


async def test_each_kind_of_refusal_is_counted(
    http: httpx.AsyncClient, recorder: Recorder, sources: Sources
) -> None:
    def signed(source: Source, body: bytes = BODY, now: float | None = None) -> dict[str, str]:
        return source.signed(body, now or time.time()) | {"content-type": "application/json"}

    limited = sources.add("stripe", SECRET, webhooks_per_minute=1)
    held_to = sources.add("stripe", SECRET)
    sources.holds_to(held_to, "reject", SCHEMA, "charge.succeeded")
    small = sources.add("stripe", SECRET, max_body_bytes=10)
    picky = sources.add("stripe", SECRET, content_types=("text/plain",))
    paused = sources.add("stripe", SECRET, source_state="paused")
    github = sources.add("github", "s3cret")
    plain = sources.add("stripe", SECRET)
    no_json = signed(github, b"{") | {"x-github-event": "push"}
    attempts = [
        (plain, {}, BODY),
        (plain, signed(plain, now=time.time() - 1000), BODY),
        (limited, signed(limited), BODY),
        (limited, signed(limited), BODY),
        (held_to, signed(held_to), BODY),
        (small, signed(small), BODY),
        (picky, signed(picky), BODY),
        (paused, signed(paused), BODY),
        (github, no_json, b"{"),
    ]
    for source, headers, body in attempts:
        await http.post(f"/in/{source.token}", content=body, headers=headers)
    await http.get(f"/in/{plain.token}")

    counts = {
        source.bytes: dict(found.counts)
        for sources in recorder.take().values()
        for source, found in sources.items()
    }
    assert counts == {
        plain.source_id: {
            "signature-missing": 1,
            "timestamp-outside-tolerance": 1,
            "method-not-allowed": 1,
        },
        limited.source_id: {"rate-limited": 1},
        held_to.source_id: {"schema-violated": 1},
        small.source_id: {"too-large": 1},
        picky.source_id: {"unsupported-media-type": 1},
        paused.source_id: {"source-inactive": 1},
        github.source_id: {"body-malformed": 1},
    }


async def test_what_was_taken_or_our_fault_or_nobodys_is_no_refusal(
    http: httpx.AsyncClient, recorder: Recorder, stripe: Source, private_nats: EmbeddedNats
) -> None:
    headers = stripe.signed(BODY, time.time()) | {"content-type": "application/json"}
    assert (await http.post(f"/in/{stripe.token}", content=BODY, headers=headers)).is_success
    assert (await http.post("/in/nobodys", content=BODY)).status_code == 404
    private_nats.pause()
    try:
        away = await http.post(f"/in/{stripe.token}", content=BODY, headers=headers)
    finally:
        private_nats.resume()

    assert away.status_code == 503
    assert recorder.take() == {}


async def test_what_was_not_read_has_the_size_it_announced(
    http: httpx.AsyncClient, recorder: Recorder, stripe: Source
) -> None:
    size = SETTINGS.max_body_bytes + 1

    await http.post(f"/in/{stripe.token}", content=b"x" * size)

    (refusal,) = noted(recorder, stripe).kept
    assert (refusal.reason, refusal.size, refusal.body_sha256) == ("too-large", size, None)


@pytest.mark.parametrize("key", [None, bytes(32)], ids=["plain", "sealed"])
async def test_of_a_payload_that_is_sealed_only_places_are_kept(
    http: httpx.AsyncClient, recorder: Recorder, sources: Sources, key: bytes | None
) -> None:
    source = sources.add("stripe", SECRET, data_key=key)
    sources.holds_to(source, "reject", SCHEMA, "charge.succeeded")
    headers = source.signed(BODY, time.time()) | {"content-type": "application/json"}

    answer = await http.post(f"/in/{source.token}", content=BODY, headers=headers)

    told = answer.json()["errors"][0]["detail"]
    (refusal,) = noted(recorder, source).kept
    assert "/pan" in refusal.detail
    assert (told in refusal.detail) == (key is None)
    assert key is None or "4242" not in refusal.detail


async def test_an_address_that_is_limited_does_not_hide_why_it_was_refused(
    sources: Sources, bus: Bus, recorder: Recorder, stripe: Source
) -> None:
    publisher = Publisher(bus.settings)
    meter = Meter(Limits(LimitSettings(address_per_minute=1, address_burst=3)), Proxies(()))
    app = httpx.ASGITransport(Ingest(sources, publisher, SETTINGS, meter, recorder=recorder))
    async with httpx.AsyncClient(transport=app, base_url="http://inside") as http:
        codes = [(await http.post(f"/in/{stripe.token}")).status_code for _ in range(6)]
    await publisher.close()

    assert codes == [401] * 3 + [429] * 3
    assert noted(recorder, stripe).counts == {"signature-missing": 6}
