"""One webhook to destinations of all kinds, by a worker process as an operator runs it."""

from uuid import UUID

import boto3
from moto.server import ThreadedMotoServer
from standardwebhooks import Webhook

from crossdock import ids
from crossdock.config import Settings
from crossdock.delivery.destinations.credentials import BearerAuth, StorageAuth
from crossdock.delivery.destinations.model import NatsSettings, StorageSettings
from crossdock.delivery.inbox.service import Inboxes
from crossdock.paging import Window
from proto import subjects
from tests.beds.delivery import DeliveryBed, Receiver, until
from tests.beds.worker import Ingest, working

BODY = b'{"total": 4200}'


async def test_an_event_comes_by_every_way(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    storage = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    storage.start()
    host, port = storage.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    bucket = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIA",
        aws_secret_access_key="secret",
    )
    bucket.create_bucket(Bucket="kinds")
    await bed.destination(tenant, receiver.url("/http"), auth=BearerAuth("word"))
    inbox = await bed.destination(tenant, kind="inbox")
    await bed.destination(tenant, kind="nats", settings=NatsSettings("orders"))
    await bed.destination(
        tenant,
        kind="storage",
        auth=StorageAuth("AKIA", "secret"),
        settings=StorageSettings("kinds", endpoint=endpoint),
    )
    message = bed.arrival(tenant, BODY, event_type="order.paid").message
    async with working(worker_settings):
        await ingest.accept(message)

        async def has_come_by_all() -> bool:
            return await bed.states(tenant) == ["delivered"] * 4

        await until(has_come_by_all)
    storage_has = bucket.list_objects_v2(Bucket="kinds")["Contents"]
    storage.stop()
    name = ids.encode("evt", UUID(bytes=message.event_id))
    (call,) = receiver.seen("/http")
    assert (call.body, call.headers["authorization"]) == (BODY, "Bearer word")
    found = (await Inboxes(bed.databases).page(tenant, inbox.destination.id, Window())).items
    assert [one.body for one in found] == [BODY]
    assert inbox.new_secret is not None
    Webhook(inbox.new_secret).verify(found[0].body, dict(found[0].headers))
    subject = subjects.out(ids.encode("ten", tenant), "orders")
    (published,) = await ingest.all_of(subjects.OUT_STREAM, subject)
    assert (published.data, published.headers["ce-id"]) == (BODY, name)
    assert published.headers["ce-type"] == "order.paid"
    (stored,) = storage_has
    assert stored["Key"].endswith(f"/{name}.json")
