"""From INGEST to receivers and to EVENTS, through a worker process."""

from uuid import UUID

import msgspec
import pytest
from standardwebhooks import Webhook

from crossdock import ids
from crossdock.config import Settings
from crossdock.delivery.model import ReplayFilter
from crossdock.delivery.replays.service import Replays
from crossdock.inbound.events.service import Events
from proto import subjects
from proto.ingest import IngestedV1, encoder
from tests.beds.delivery import DeliveryBed, Receiver, until
from tests.beds.worker import Ingest, working


def webhooks(bed: DeliveryBed, tenant: UUID, count: int, **options: str) -> list[IngestedV1]:
    return [bed.arrival(tenant, b'{"n": %d}' % n, **options).message for n in range(count)]


def event_id(message: IngestedV1) -> str:
    return ids.encode("evt", UUID(bytes=message.event_id))


async def test_every_accepted_webhook_is_delivered_announced_and_acknowledged(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/ok"))
    messages = webhooks(bed, tenant, 300, event_type="order.paid")
    async with working(worker_settings) as worker:
        await ingest.accept(*messages)
        await until(lambda: len(receiver.calls) == 300)
        await until(ingest.is_empty)
        status, metrics = await worker.ask("/metrics")
    assert status == 200
    assert 'crossdock_persist_events_total{outcome="stored"} 300.0' in metrics
    assert 'crossdock_delivery_attempts_total{outcome="delivered"} 300.0' in metrics
    assert set(receiver.by_id) == {event_id(message) for message in messages}
    assert made.new_secret is not None
    for call in receiver.calls:
        Webhook(made.new_secret).verify(call.body, call.headers)


async def test_events_carries_cloud_events_in_binary_mode(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    body = bytes(range(256))
    message = msgspec.structs.replace(
        bed.arrival(tenant, body, event_type="invoice.p*id now").message,
        content_type="application/octet-stream",
    )
    untyped = bed.arrival(tenant, b"", event_type="").message
    structured = msgspec.structs.replace(
        bed.arrival(tenant, b"{}").message, content_type="application/cloudevents+json"
    )
    async with working(worker_settings):
        await ingest.accept(message, untyped, structured)
        await until(ingest.is_empty)
    tenant_text, source_text = ids.encode("ten", tenant), ids.encode("src", UUID(int=7))
    prefix = f"events.{tenant_text}.{source_text}."
    announced = await ingest.all_of(subjects.EVENTS_STREAM, prefix)
    by_id = {one.headers["ce-id"]: one for one in announced}
    assert len(by_id) == len(announced)
    first, second, third = (by_id[event_id(one)] for one in (message, untyped, structured))
    assert first.subject == f"{prefix}invoice.p%2Aid%20now"
    assert first.data == body
    accepted = ids.time_of(UUID(bytes=message.event_id)).isoformat().replace("+00:00", "Z")
    headers = dict(first.headers)
    assert int(headers.pop("ce-sequence")) > 0
    assert headers == {
        "Nats-Msg-Id": event_id(message),
        "ce-specversion": "1.0",
        "ce-id": event_id(message),
        "ce-source": f"/tenants/{tenant_text}/sources/{source_text}",
        "ce-type": "invoice.p*id now",
        "ce-time": accepted,
        "ce-datacontenttype": "application/octet-stream",
        "content-type": "application/octet-stream",
        "traceparent": message.traceparent,
    }
    assert second.subject == f"{prefix}-"
    assert second.headers["ce-type"] == "untyped"
    assert not second.data
    assert third.headers["ce-datacontenttype"] == "application/cloudevents+json"
    assert "content-type" not in third.headers, "or it would look like one in structured mode"


async def test_the_same_webhook_twice_has_one_effect(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    message = bed.arrival(tenant).message
    twin = msgspec.structs.replace(message, event_id=ids.new().bytes)
    marker = bed.arrival(tenant, b"last").message
    async with working(worker_settings) as worker:
        await ingest.accept(message, message, twin, message)
        await until(ingest.is_empty)
        await ingest.accept(twin, message, marker)
        await until(lambda: receiver.by_id[event_id(marker)])
        await until(ingest.is_empty)
        assert not worker.said("poison")
    effects = receiver.by_id[event_id(message)] + receiver.by_id[event_id(twin)]
    assert len(effects) == 1, "under whichever id came first; the other leads to it"
    assert len(await bed.all_of(tenant)) == 2
    both = [UUID(bytes=one.event_id) for one in (message, twin)]
    events = Events(bed.databases)
    assert len({(await events.get(tenant, one)).id for one in both}) == 1


async def test_poison_is_set_aside_with_its_reason_and_the_rest_flows(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    good = webhooks(bed, tenant, 20)
    wrong_version = encoder.encode(good[0]).replace(b"ingested.v1", b"ingested.v9")
    nul = msgspec.structs.replace(bed.arrival(tenant).message, provider_id="a\x00b")
    stranger = bed.arrival(ids.new()).message
    short = msgspec.structs.replace(bed.arrival(tenant).message, event_id=b"short")
    bad: list[IngestedV1 | bytes] = [
        b"",
        b"\x00",
        b"\xc1garbage",
        b"{}",
        wrong_version,
        nul,
        stranger,
        short,
    ]
    async with working(worker_settings) as worker:
        await ingest.accept(*good[:10], *bad, *good[10:])
        await until(ingest.is_empty)
        await until(lambda: len(receiver.calls) == 20)
        assert len(worker.said("poison")) == len(bad)
    graves = await ingest.all_of(subjects.POISON_STREAM, "poison.")
    buried = {grave.data or b"": grave.headers["crossdock-reason"] for grave in graves}
    raw = [one if isinstance(one, bytes) else encoder.encode(one) for one in bad]
    assert sorted(buried) == sorted(raw), "each once, in whichever batches they came"
    assert len(graves) == len(bad)
    assert all(buried.values())
    assert all(int(grave.headers["crossdock-stream-seq"]) > 0 for grave in graves)
    assert buried[encoder.encode(stranger)] == "the tenant is not on this shard"


async def test_an_event_that_no_message_can_carry_is_delivered_all_the_same(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    odd = msgspec.structs.replace(bed.arrival(tenant).message, content_type="text/x\r\ny: z")
    async with working(worker_settings) as worker:
        await ingest.accept(odd)
        (call,) = await until(lambda: receiver.by_id[event_id(odd)])
        await until(ingest.is_empty)
        assert worker.said("event_not_announced")
    assert call.headers["content-type"] == "application/octet-stream"
    assert "y" not in call.headers


async def test_what_the_broker_would_refuse_for_ever_holds_nobody_up(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    hostile = [
        msgspec.structs.replace(bed.arrival(tenant).message, **{field: "x" * 200_000})
        for field in ("content_type", "event_type")
    ]
    huge = b"\xc1" * (1024 * 1024 - 10)
    good = webhooks(bed, tenant, 20)
    async with working(worker_settings) as worker:
        await ingest.accept(*good[:10], *hostile, huge, *good[10:])
        await until(ingest.is_empty)
        await until(lambda: len(receiver.calls) == 22)
        assert len(worker.said("event_not_announced")) == 2
        assert not worker.said("publisher_disconnected")
    *_, grave = await ingest.all_of(subjects.POISON_STREAM, "poison.")
    assert huge.startswith(grave.data)
    assert grave.headers["crossdock-size"] == str(len(huge))


@pytest.mark.timeout(90)
async def test_a_backlog_of_large_bodies_is_pulled_in_bites(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest
) -> None:
    tenant = await bed.tenant()
    await ingest.accept(
        *(bed.arrival(tenant, bytes([n % 256]) * 500_000 + b"%d" % n).message for n in range(400))
    )
    async with working(worker_settings) as worker:
        await until(ingest.is_empty, within_s=40)
        assert not worker.said("broker_away"), "it cuts off whoever asks for more than it reads"
        assert not worker.said("pull_went_silent")
        assert not worker.said("poison")


@pytest.mark.timeout(90)
async def test_a_worker_for_maintenance_alone_replays_and_leaves_ingest_alone(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest
) -> None:
    tenant = await bed.tenant()
    worker = msgspec.structs.replace(worker_settings.worker, roles=("maintenance",))
    only = msgspec.structs.replace(worker_settings, worker=worker)
    replays = Replays(bed.databases)
    started = await replays.create(tenant, ReplayFilter())
    await ingest.accept(bed.arrival(tenant).message)
    async with working(only):

        async def is_done() -> bool:
            return (await replays.get(tenant, started.id)).state == "done"

        await until(is_done, within_s=45)
        assert await ingest.waiting() == 1
    async with working(worker_settings):
        await until(ingest.is_empty)
