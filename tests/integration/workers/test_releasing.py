"""Quarantined, held and warned, through a worker process."""

from uuid import UUID

import msgspec

from crossdock import ids
from crossdock.config import Settings
from crossdock.secrets.payloads import TenantKeys, seal_payload
from proto import subjects
from tests.beds.delivery import DeliveryBed, Receiver, until
from tests.beds.worker import Ingest, working

VIOLATION = '[{"pointer":"","detail":"is not an object"}]'
ASK = (
    "WITH asked AS (UPDATE crossdock.events SET status = 'releasing'"
    " WHERE tenant_id = '{tenant}' AND id = '{event}' RETURNING tenant_id, id)"
    " INSERT INTO crossdock.releases (tenant_id, id, event_id)"
    " SELECT tenant_id, '{own}', id FROM asked"
)


async def test_what_is_quarantined_waits_for_its_release_and_then_goes_everywhere(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    broken = msgspec.structs.replace(
        bed.arrival(tenant, b"[1]").message,
        status="quarantined",
        violation=VIOLATION,
        schema_version=2,
    )
    warned = msgspec.structs.replace(
        bed.arrival(tenant, b"[2]").message, status="warned", violation=VIOLATION, schema_version=2
    )
    name, event_id = _names(broken.event_id)
    prefix = f"events.{ids.encode('ten', tenant)}."
    async with working(worker_settings):
        await ingest.accept(broken, warned)
        await until(ingest.is_empty)
        await until(lambda: receiver.calls)
        (only,) = await ingest.all_of(subjects.EVENTS_STREAM, prefix)
        assert only.headers["ce-id"] == _names(warned.event_id)[0]
        assert (only.headers["ce-status"], only.headers["ce-schemaversion"]) == ("warned", "2")
        async with bed.database.tenant(tenant) as app:
            asked = ASK.format(tenant=tenant, event=event_id, own=ids.new())
            await app.exec_driver_sql(asked)
        (call,) = await until(lambda: receiver.by_id[name])
        assert call.body == b"[1]"
    _, released = await ingest.all_of(subjects.EVENTS_STREAM, prefix)
    assert released.headers["ce-id"] == name
    assert (released.headers["ce-status"], released.data) == ("released", b"[1]")
    assert len(receiver.calls) == 2


async def test_a_sealed_payload_reaches_its_destination_plain_and_the_broker_never(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    key = await TenantKeys(bed.databases, bed.payloads).current(tenant)
    message = bed.arrival(tenant).message
    name, event_id = _names(message.event_id)
    sealed = seal_payload(key, tenant, event_id, b"plain")
    async with working(worker_settings):
        await ingest.accept(msgspec.structs.replace(message, body=sealed, data_key=key.id.bytes))
        (call,) = await until(lambda: receiver.by_id[name])
        await until(ingest.is_empty)
    assert call.body == b"plain"
    prefix = f"events.{ids.encode('ten', tenant)}."
    (announced,) = await ingest.all_of(subjects.EVENTS_STREAM, prefix)
    assert not announced.data
    assert announced.headers["ce-dataref"] == f"/v1/events/{name}/payload"


def _names(event_id: bytes) -> tuple[str, UUID]:
    found = UUID(bytes=event_id)
    return ids.encode("evt", found), found
