"""Webhooks put straight into INGEST, as by gateways that have answered 202: by the thousand."""

import asyncio
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from crossdock import ids
from crossdock.bus import connect
from crossdock.samples.sender import new_serial
from proto import subjects
from proto.ingest import IngestedV1, encoder
from tests.faults.oracle import Observed
from tests.faults.rig import Rig

CHUNK: Final = 500


class Accepted(NamedTuple):
    """One message."""

    message: IngestedV1
    event_id: str
    serial: str


async def message(rig: Rig, observed: Observed) -> tuple[IngestedV1, str]:
    """Return a webhook of the observed source as a gateway would hand it over."""
    serial = new_serial()
    async with rig.rest(observed.key) as rest:
        (source,) = await rest.all("/v1/sources")
        me = await rest.get("/v1/auth/me")
    event_id = ids.new()
    made = IngestedV1(
        event_id=event_id.bytes,
        tenant_id=ids.decode("ten", me["tenant"]["id"]).bytes,
        source_id=ids.decode("src", source["id"]).bytes,
        event_type="order.paid",
        dedupe=event_id.bytes,
        provider_id=None,
        content_type="application/json",
        headers=[],
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        body=msgspec.json.encode({"serial": serial}),
    )
    return made, serial


async def flood(rig: Rig, observed: Observed, count: int, size: int) -> dict[str, str]:
    """Put webhooks of a tenant into INGEST, as gateways do that have answered 202."""
    bus = await connect(rig.settings.nats)
    jetstream = bus.jetstream()
    template, _ = await message(rig, observed)
    accepted: dict[str, str] = {}
    for start in range(0, count, CHUNK):
        made = [_another(template, size) for _ in range(start, min(count, start + CHUNK))]
        await asyncio.gather(
            *(jetstream.publish(subjects.ingest(0), encoder.encode(one.message)) for one in made)
        )
        accepted |= {one.event_id: one.serial for one in made}
    await bus.close()
    return accepted


def _another(template: IngestedV1, size: int) -> Accepted:
    serial, event_id = new_serial(), ids.new()
    body = msgspec.json.encode({"serial": serial, "filling": "x" * size})
    made = msgspec.structs.replace(
        template, event_id=event_id.bytes, dedupe=event_id.bytes, body=body
    )
    return Accepted(made, ids.encode("evt", UUID(bytes=event_id.bytes)), serial)
