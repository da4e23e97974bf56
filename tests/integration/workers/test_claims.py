"""Bodies too large for a message: fetched, stored, delivered, removed, whatever comes between."""

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.bus.objects import Objects, ObjectWriter
from crossdock.bus.publisher import Publisher
from crossdock.config import Settings
from crossdock.inbound.bodies import Bodies, BodyGone
from proto import subjects
from proto.ingest import IngestedV1
from proto.subjects import BODIES_BUCKET
from tests.beds.delivery import DeliveryBed, Receiver, until
from tests.beds.worker import Ingest, working
from workers.claims import Claims

LARGE = 700_000


class Gateway:
    """Takes large webhooks as a gateway does."""

    def __init__(self, bed: DeliveryBed, ingest: Ingest, writer: ObjectWriter) -> None:
        self.bodies = Bodies(ingest.bus)
        self._bed = bed
        self._writer = writer

    async def put(self, tenant: UUID, body: bytes) -> IngestedV1:
        """Store a body, and return the message that claims it."""
        message = self._bed.arrival(tenant, b"").message
        claim = ids.encode("evt", UUID(bytes=message.event_id))
        await self._writer.put(claim, body)
        return msgspec.structs.replace(message, claim=claim)

    async def is_gone(self, message: IngestedV1) -> bool:
        """Tell whether the body of a message is no longer there."""
        try:
            await self.bodies.fetch(message.claim)
        except BodyGone:
            return True
        return False


@pytest.fixture
async def gateway(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest
) -> AsyncIterator[Gateway]:
    """One that is connected."""
    publisher = Publisher(msgspec.structs.replace(worker_settings.nats, group_commit=False))
    await publisher.wait_connected()
    objects = Objects(ingest.bus, BODIES_BUCKET)
    yield Gateway(bed, ingest, ObjectWriter(publisher, objects, BODIES_BUCKET))
    await publisher.close()


def body(number: int) -> bytes:
    return bytes([number % 256]) * LARGE + b"%d" % number


async def test_a_large_body_is_delivered_and_kept_and_announced_by_where_it_is(
    worker_settings: Settings,
    bed: DeliveryBed,
    ingest: Ingest,
    receiver: Receiver,
    gateway: Gateway,
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    large = [await gateway.put(tenant, body(n)) for n in range(6)]
    small = [bed.arrival(tenant, b"%d" % n).message for n in range(6)]
    mixed = [one for pair in zip(large, small, strict=True) for one in pair]
    async with working(worker_settings):
        await ingest.accept(*mixed)
        await until(lambda: len(receiver.calls) == 12)
        await until(ingest.is_empty)
        for one in large:
            await until(lambda one=one: gateway.is_gone(one))  # type: ignore[misc]
    assert {call.body for call in receiver.calls} >= {body(n) for n in range(6)}
    name = ids.encode("evt", UUID(bytes=large[0].event_id))
    announced = {
        one.headers["ce-id"]: one for one in await ingest.all_of(subjects.EVENTS_STREAM, "events.")
    }
    assert announced[name].headers["ce-dataref"] == f"/v1/events/{name}/payload"
    assert not announced[name].data
    other = announced[ids.encode("evt", UUID(bytes=small[0].event_id))]
    assert "ce-dataref" not in other.headers
    assert other.data == b"0"


async def test_a_body_is_asked_for_again_after_its_removal_only_where_it_was_stored(
    worker_settings: Settings,
    bed: DeliveryBed,
    ingest: Ingest,
    receiver: Receiver,
    gateway: Gateway,
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    stored, never = await gateway.put(tenant, body(1)), await gateway.put(tenant, body(2))
    await gateway.bodies.delete([never.claim])
    async with working(worker_settings) as worker:
        await ingest.accept(stored)
        await until(lambda: receiver.calls)
        await until(lambda: gateway.is_gone(stored))
        # Its acknowledgement was lost: it comes again, and its body is gone.
        await ingest.accept(stored, never, stored)
        await until(ingest.is_empty)
        assert len(worker.said("poison")) == 1
        _, metrics = await worker.ask("/metrics")
    assert 'crossdock_persist_events_total{outcome="redelivered"} 2.0' in metrics
    *_, grave = await ingest.all_of(subjects.POISON_STREAM, "poison.")
    assert "its body is gone" in grave.headers["crossdock-reason"]
    assert len(receiver.calls) == 1


async def test_a_duplicate_leaves_no_body_behind(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, gateway: Gateway
) -> None:
    tenant = await bed.tenant()
    first = await gateway.put(tenant, body(1))
    again = msgspec.structs.replace(await gateway.put(tenant, body(1)), dedupe=first.dedupe)
    async with working(worker_settings):
        await ingest.accept(first, again)
        await until(ingest.is_empty)
        for one in (first, again):
            await until(lambda one=one: gateway.is_gone(one))  # type: ignore[misc]


async def test_parts_are_handed_on_as_the_budget_says(bed: DeliveryBed, gateway: Gateway) -> None:
    tenant = await bed.tenant()
    messages = [await gateway.put(tenant, body(n)) for n in range(7)]
    await gateway.bodies.delete([messages[3].claim])
    arrivals = [
        msgspec.structs.replace(bed.arrival(tenant), message=message) for message in messages
    ]
    claimed = [(object(), arrival) for arrival in arrivals]
    asked = 0

    async def meanwhile() -> None:
        nonlocal asked
        asked += 1

    claims = Claims(gateway.bodies, at_once=2, part_bytes=2 * LARGE)
    sizes = []
    found = []
    async for part in claims.parts(claimed, meanwhile):  # type: ignore[arg-type]
        sizes.append(len(part))
        found += [b"gone" if one.is_gone else one.arrival.message.body for one in part]
    assert sizes == [2, 4, 1]
    assert found == [b"gone" if n == 3 else body(n) for n in range(7)]
    assert asked == 4


async def test_what_no_message_claims_is_swept(
    bed: DeliveryBed, ingest: Ingest, gateway: Gateway
) -> None:
    # Of workers that were killed: what they had done with, and nobody cleared.
    await ingest.jetstream.purge_stream(subjects.INGEST_STREAM)
    tenant = await bed.tenant()
    orphan = await gateway.put(tenant, body(1))
    await gateway.bodies.sweep()
    assert not await gateway.is_gone(orphan), "its message may be on its way"
    await gateway.bodies.sweep(margin_s=0)
    assert await gateway.is_gone(orphan)
