"""Payloads that are sealed at rest: opened as they are sent, and given up where nobody can."""

import os
from uuid import UUID

import pytest
from msgspec.structs import replace
from standardwebhooks import Webhook

from crossdock.delivery.dispatch.dispatcher import Job
from crossdock.inbound.persist import Arrival
from crossdock.secrets.payloads import BatchKeys, DataKey, TenantKeys, seal_payload
from crossdock.secrets.seal import Sealer
from tests.beds.delivery import DeliveryBed, Receiver, until
from tests.beds.scripts import returning, sandboxed

PLAIN = b'{"card": "4242"}'


async def sealed(bed: DeliveryBed, tenant: UUID, key: DataKey) -> Arrival:
    """Return a webhook whose body a gateway has sealed."""
    arrival = bed.arrival(tenant)
    body = seal_payload(key, arrival.tenant_id, arrival.event_id, PLAIN)
    message = replace(arrival.message, body=body, data_key=key.id.bytes)
    return Arrival.of(message, arrival.stream_seq)


@pytest.mark.parametrize("way", ["offered", "claimed"])
async def test_a_sealed_payload_is_sent_as_it_came(
    bed: DeliveryBed, receiver: Receiver, way: str
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/ok"))
    key = await TenantKeys(bed.databases, bed.payloads).current(tenant)
    arrival = await sealed(bed, tenant, key)
    jobs = await bed.persist(arrival)
    async with bed.dispatching() as dispatcher:
        if way == "offered":
            await dispatcher.offer(jobs)
        else:
            await bed.make_due(jobs)
        (call,) = await until(lambda: receiver.calls)
    assert call.body == PLAIN
    assert made.new_secret is not None
    Webhook(made.new_secret).verify(call.body, call.headers)
    async with bed.database.session("maintenance") as conn:
        stored = await conn.fetchval(
            "SELECT body FROM crossdock.events WHERE id = $1", arrival.event_id
        )
    assert PLAIN not in stored
    assert b"4242" not in stored


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("shredded", "payload_shredded"),
        ("damaged", "payload_unreadable"),
        ("another event's", "payload_unreadable"),
        ("another key", "payload_unreadable"),
    ],
)
async def test_a_payload_that_nobody_can_open_is_a_dead_letter_and_holds_up_nothing(
    bed: DeliveryBed, receiver: Receiver, fault: str, reason: str
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    key = await TenantKeys(bed.databases, bed.payloads).current(tenant)
    first, second = await sealed(bed, tenant, key), await sealed(bed, tenant, key)
    jobs = await bed.persist(first, second, bed.arrival(tenant, b"plain"))
    broken = [job for job in jobs if job.leased.event_id == first.event_id]
    if fault == "shredded":
        bed.keys = BatchKeys(bed.database, "dispatch", bed.payloads)
        async with bed.database.operator(tenant) as conn:
            await conn.execute("DELETE FROM crossdock.payload_keys")
    elif fault == "another key":
        bed.keys = BatchKeys(bed.database, "dispatch", Sealer(os.urandom(32)))
    else:
        body = {"damaged": second.message.body[:-1], "another event's": second.message.body}[fault]
        jobs = [_with_body(job, body) if job in broken else job for job in jobs]
    async with bed.dispatching() as dispatcher:
        await dispatcher.offer(jobs)
        await until(lambda: b"plain" in {call.body for call in receiver.calls})

        async def is_dead() -> bool:
            return "dead" in await bed.states(tenant)

        await until(is_dead)
        (found,) = [
            one for one in await bed.all_of(tenant) if one.delivery.event_id == first.event_id
        ]
    assert (found.delivery.state, found.delivery.reason) == ("dead", reason)
    assert found.delivery.attempts == 0


def _with_body(job: Job, body: bytes) -> Job:
    assert job.cargo is not None
    return Job(job.leased, replace(job.cargo, body=body))


@pytest.mark.parametrize(
    "script",
    [
        returning("{payload: event.payload, headers: {'X-Card': event.payload.card}}"),
        "function transform(event) {\n throw new Error(event.payload.card); }",
    ],
    ids=["sent", "thrown"],
)
async def test_what_a_script_makes_of_a_sealed_payload_does_not_rest_in_plain(
    bed: DeliveryBed, receiver: Receiver, script: str
) -> None:
    bed.keys = BatchKeys(bed.database, "dispatch", bed.payloads)  # others take it away
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"), transform=script)
    key = await TenantKeys(bed.databases, bed.payloads).current(tenant)
    async with (
        sandboxed() as sandbox,
        bed.dispatching(sandbox=sandbox) as dispatcher,
    ):
        await dispatcher.offer(await bed.persist(await sealed(bed, tenant, key)))
        await until(lambda: _has_ended(bed, tenant))
    (found,) = await bed.all_of(tenant)
    (attempt,) = found.attempts
    assert attempt.request_body is None
    assert "4242" not in f"{attempt.request_headers} {attempt.error} {found.delivery.last_error}"
    assert all(call.headers["x-card"] == "4242" for call in receiver.calls)
    if found.delivery.state == "dead":
        assert "(line 2)" in (attempt.error or "")


async def _has_ended(bed: DeliveryBed, tenant: UUID) -> bool:
    return await bed.states(tenant) in (["delivered"], ["dead"])
