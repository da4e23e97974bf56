"""Messages on NATS: on the tenant's own subject, once, whole, and only when the stream has them."""

import os
from collections.abc import AsyncIterator
from uuid import UUID

import jsonschema_rs
import pytest
from msgspec.structs import replace
from nats.js.api import RawStreamMsg

from crossdock import ids
from crossdock.bus import Bus, connect
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import wait_for_streams
from crossdock.config import NatsSettings
from crossdock.delivery.destinations.model import NatsSettings as Subject
from crossdock.delivery.dispatch import store
from crossdock.delivery.dispatch.targets import Ready
from crossdock.delivery.kinds.nats import NatsCarrier
from crossdock.embedded import EmbeddedNats
from crossdock.inbound.persist import Arrival
from crossdock.secrets.payloads import TenantKeys, seal_payload
from proto import cloud_event, subjects
from tests.beds.carrying import delivered
from tests.beds.delivery import DeliveryBed, until


@pytest.fixture
async def bus(nats_settings: NatsSettings) -> AsyncIterator[Bus]:
    """The broker, with its streams."""
    found = await connect(nats_settings)
    await wait_for_streams(found)
    yield found
    await found.close()


@pytest.fixture
async def publisher(nats_settings: NatsSettings, bus: Bus) -> AsyncIterator[Publisher]:
    """As a worker has it for destinations on NATS."""
    found = Publisher(replace(nats_settings, group_commit=False), is_measured=False)
    await until(lambda: found.is_connected)
    yield found
    await found.close()


async def arrived(bus: Bus, tenant: UUID, subject: str) -> list[RawStreamMsg]:
    """Return what the stream has on a tenant's subject, oldest first."""
    jetstream = bus.jetstream()
    name = subjects.out(ids.encode("ten", tenant), subject)
    found: list[RawStreamMsg] = []
    state = (await jetstream.stream_info(subjects.OUT_STREAM)).state
    for number in range(state.first_seq, state.last_seq + 1):
        message = await jetstream.get_msg(subjects.OUT_STREAM, number)
        if message.subject == name:
            found.append(message)
    return found


async def test_an_event_is_a_cloud_event_on_the_tenants_subject(
    bed: DeliveryBed, bus: Bus, publisher: Publisher
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, kind="nats", settings=Subject("orders.eu"))
    attempt = await delivered(bed, tenant, b'{"total": 4200}', publisher=publisher)
    (message,) = await arrived(bus, tenant, "orders.eu")
    assert message.data == b'{"total": 4200}'
    headers = message.headers or {}
    assert jsonschema_rs.is_valid(cloud_event.delivered_schema(), headers)
    delivery = (await bed.all_of(tenant))[0].delivery
    assert headers["ce-id"] == ids.encode("evt", delivery.event_id)
    assert headers["ce-type"] == "a.b"
    assert headers["ce-source"].startswith(f"/tenants/{ids.encode('ten', tenant)}/sources/src_")
    assert headers["Nats-Msg-Id"] == ids.encode("dlv", delivery.id)
    assert headers["content-type"] == headers["ce-datacontenttype"] == "application/json"
    assert (attempt.status, attempt.error) == (200, None)
    assert dict(attempt.request_headers).items() <= headers.items()


async def test_a_claimed_delivery_says_the_same_of_its_event(
    bed: DeliveryBed, bus: Bus, publisher: Publisher
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, kind="nats", settings=Subject("claimed"))
    jobs = await bed.persist(bed.arrival(tenant, event_type="order.paid"))
    await bed.make_due(jobs)
    async with bed.dispatching(publisher=publisher):

        async def is_there() -> bool:
            return await bed.states(tenant) == ["delivered"]

        await until(is_there)
    (message,) = await arrived(bus, tenant, "claimed")
    assert (message.headers or {})["ce-type"] == "order.paid"


async def test_a_repeat_of_a_delivery_is_no_second_message_and_a_replay_is(
    bed: DeliveryBed, bus: Bus, publisher: Publisher
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, kind="nats", settings=Subject("once"))
    jobs = await bed.persist(bed.arrival(tenant))
    async with bed.dispatching(publisher=publisher) as dispatcher:
        # As if a worker had died after the broker had it, and before that was on record.
        await dispatcher.offer([*jobs, *jobs])

        async def is_there() -> bool:
            return await bed.states(tenant) == ["delivered"]

        await until(is_there)
        assert len(await arrived(bus, tenant, "once")) == 1
        delivery = (await bed.all_of(tenant))[0].delivery
        await bed.deliveries.replay(tenant, delivery.id)

        async def are_there() -> bool:
            return await bed.states(tenant) == ["delivered", "delivered"]

        await until(are_there)
    one, two = await arrived(bus, tenant, "once")
    assert (one.headers or {})["ce-id"] == (two.headers or {})["ce-id"]


async def test_a_sealed_payload_and_a_large_one_stay_where_they_are(
    bed: DeliveryBed, bus: Bus, publisher: Publisher
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, kind="nats", settings=Subject("apart"))
    key = await TenantKeys(bed.databases, bed.payloads).current(tenant)
    arrival = bed.arrival(tenant)
    body = seal_payload(key, arrival.tenant_id, arrival.event_id, b'{"card": "4242"}')
    message = replace(arrival.message, body=body, data_key=key.id.bytes)
    jobs = await bed.persist(Arrival.of(message, arrival.stream_seq))
    jobs += await bed.persist(bed.arrival(tenant, os.urandom(700 * 1024)))
    async with bed.dispatching(publisher=publisher) as dispatcher:
        await dispatcher.offer(jobs)

        async def are_there() -> bool:
            return await bed.states(tenant) == ["delivered", "delivered"]

        await until(are_there)
    for found in await arrived(bus, tenant, "apart"):
        headers = found.headers or {}
        assert not found.data
        assert headers["ce-dataref"] == f"/v1/events/{headers['ce-id']}/payload"
        assert jsonschema_rs.is_valid(cloud_event.delivered_schema(), headers)


async def test_while_the_broker_is_away_it_waits(
    bed: DeliveryBed, private_nats: EmbeddedNats
) -> None:
    settings = private_nats.settings()
    bus = await connect(settings)
    await wait_for_streams(bus)
    publisher = Publisher(replace(settings, group_commit=False), timeout_s=0.5, is_measured=False)
    await until(lambda: publisher.is_connected)
    tenant = await bed.tenant()
    await bed.destination(tenant, kind="nats", settings=Subject("later"), breaker="off")
    private_nats.kill()
    await until(lambda: not publisher.is_connected)
    attempt = await delivered(bed, tenant, state="dead", publisher=publisher)
    assert attempt.error == "connect: the broker has not taken it"
    await publisher.close()
    await bus.close()


async def test_where_there_is_no_broker_it_is_our_failure(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, kind="nats", settings=Subject("nowhere"), breaker="off")
    attempt = await delivered(bed, tenant, state="dead")
    assert attempt.error == "internal: there is no subject, or no broker"


async def test_a_script_says_neither_whose_event_it_is_nor_what_the_broker_does(
    bed: DeliveryBed,
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, kind="nats", settings=Subject("said"))
    (job,) = await bed.persist(bed.arrival(tenant))
    assert job.cargo is not None
    async with bed.database.batch("dispatch", {tenant}) as conn:
        (target,) = await store.targets(conn, [(tenant, made.destination.id)])
    extra = {"CE-ID": "forged", "Nats-Rollup": "all", "nats-msg-id": "x", "X-Mine": "1"}
    carrier = NatsCarrier(None, most_bytes=1024)
    headers = carrier.label(job.cargo, Ready(target, bed.sealer, 0.0), 0.0, extra)
    assert headers["x-mine"] == "1"
    assert headers["ce-id"] == ids.encode("evt", job.cargo.event_id)
    assert not [name for name in headers if name.lower().startswith("nats-")]
    assert len({name.lower() for name in headers}) == len(headers)
