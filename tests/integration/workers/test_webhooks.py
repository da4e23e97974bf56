"""What nobody foresaw: one message that breaks the code must not hold up the others."""

import asyncio
from collections.abc import Sequence

from crossdock.bus.consumer import Consumer
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import persist_consumer
from crossdock.config import Settings
from crossdock.inbound.bodies import Bodies
from crossdock.inbound.persist import Arrival, Persisted, Persister
from crossdock.tenancy.quotas import Meter
from proto import subjects
from proto.ingest import encoder
from tests.beds.delivery import DeliveryBed, Receiver, until
from tests.beds.worker import Ingest
from workers.announce import Announcer
from workers.claims import Claims
from workers.webhooks import Webhooks


class Fragile(Persister):
    """Breaks at a body."""

    async def persist(self, batch: Sequence[Arrival]) -> Persisted:
        if any(arrival.message.body == b"breaks" for arrival in batch):
            raise RuntimeError("nobody thought of this")
        return await super().persist(batch)


async def test_one_message_that_breaks_the_code_leaves_the_others_alone(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    bodies = [b"%d" % n for n in range(20)] + [b"breaks"] + [b"%d" % n for n in range(20, 40)]
    await ingest.accept(*(bed.arrival(tenant, body).message for body in bodies))
    consumer = Consumer(ingest.bus, subjects.INGEST_STREAM, subjects.persist_consumer(0), room=100)
    await consumer.open()
    publisher = Publisher(worker_settings.nats)
    async with bed.dispatching() as dispatcher:
        fragile = Fragile(bed.database, lease_s=30)
        meter = Meter(bed.database, retention_days=30)
        flow = Webhooks(
            consumer,
            fragile,
            dispatcher,
            publisher,
            meter,
            batch_size=100,
            claims=Claims(Bodies(ingest.bus)),
            announcer=Announcer(publisher),
        )
        running = asyncio.create_task(flow.run())
        await until(lambda: len(receiver.calls) == 40)

        async def one_is_left() -> bool:
            return await ingest.waiting() == 1

        await until(one_is_left)
        flow.stop()
        await running
    await consumer.close()
    await publisher.close()
    assert {int(call.body) for call in receiver.calls} == set(range(40))
    await ingest.jetstream.purge_stream(subjects.INGEST_STREAM)


async def test_what_breaks_the_code_again_and_again_is_set_aside(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    declared = persist_consumer(0)
    declared.ack_wait = 0.2
    await ingest.jetstream.add_consumer(subjects.INGEST_STREAM, declared)
    breaking = bed.arrival(tenant, b"breaks").message
    await ingest.accept(breaking, *(bed.arrival(tenant, b"%d" % n).message for n in range(5)))
    consumer = Consumer(ingest.bus, subjects.INGEST_STREAM, subjects.persist_consumer(0), room=100)
    await consumer.open()
    publisher = Publisher(worker_settings.nats)
    async with bed.dispatching() as dispatcher:
        flow = Webhooks(
            consumer,
            Fragile(bed.database, lease_s=30),
            dispatcher,
            publisher,
            Meter(bed.database, retention_days=30),
            batch_size=100,
            claims=Claims(Bodies(ingest.bus)),
            announcer=Announcer(publisher),
        )
        running = asyncio.create_task(flow.run())
        await until(ingest.is_empty)
        await until(lambda: len(receiver.calls) == 5)
        flow.stop()
        await running
    await consumer.close()
    await publisher.close()
    graves = await ingest.all_of(subjects.POISON_STREAM, "poison.")
    (grave,) = [one for one in graves if one.data == encoder.encode(breaking)]
    assert "nobody thought of this" in grave.headers["crossdock-reason"]
    await ingest.jetstream.add_consumer(subjects.INGEST_STREAM, persist_consumer(0))
