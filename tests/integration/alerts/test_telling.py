"""Alerts as events: once whatever dies in between, to those who ask, never in a circle."""

import asyncio
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.access.model import Actor, Principal
from crossdock.alerts.telling import rules
from crossdock.errors import BrokerUnavailable
from crossdock.inbound.sources.service import Sources
from crossdock.paging import Window
from crossdock.secrets.payloads import open_payload
from crossdock.secrets.seal import Sealer
from tests.beds.alerting import HOUR, MINUTE, Telling
from tests.beds.delivery import Receiver, until

SOURCES = Sealer(bytes(range(32)))


async def failing(telling: Telling, tenant: UUID, **columns: object) -> UUID:
    """Make a destination that has failed for long, and have it noticed."""
    bed = telling.alerts
    found = await bed.destination(tenant, failing_since=bed.now - HOUR, name="Billing", **columns)
    await bed.pass_by(MINUTE)
    return found


async def test_an_alert_arrives_and_so_does_its_end(telling: Telling, receiver: Receiver) -> None:
    tenant = await telling.deliveries.tenant()
    await telling.listener(tenant, receiver.url("/alerts"))
    about = await failing(telling, tenant)
    async with telling.deliveries.dispatching() as dispatcher:
        await dispatcher.offer(await telling.tell())
        await until(lambda: len(receiver.calls) == 1)
        await telling.alerts.change(about, failing_since=None)
        await telling.alerts.pass_by(MINUTE)
        await dispatcher.offer(await telling.tell())
        await until(lambda: len(receiver.calls) == 2)
    raised, resolved = (msgspec.json.decode(call.body) for call in receiver.calls)
    [alert] = await telling.alerts.listed(tenant)
    assert (raised["state"], raised["resolved_at"]) == ("open", None)
    assert (raised["name"], raised["subject"]) == ("Billing", ids.encode("dst", about))
    assert (resolved["state"], resolved["detail"]["resolved_because"]) == ("resolved", "answers")
    assert raised["id"] == resolved["id"] == ids.encode("alt", alert.id)
    rows = await telling.events(tenant)
    assert [row["event_type"] for row in rows] == [
        "crossdock.alert.raised",
        "crossdock.alert.resolved",
    ]
    assert receiver.calls[0].headers["webhook-id"] == ids.encode("evt", rows[0]["id"])
    # One source of the tenant's own was made for it, as publishing makes one.
    found = await Sources(telling.alerts.databases, SOURCES, max_body_bytes=1024).page(
        tenant, Window()
    )
    assert [(one.source.scheme, one.has_door, one.token) for one in found.items] == [
        ("api", False, "")
    ]


async def test_nobody_asked_so_nothing_is_made(telling: Telling, receiver: Receiver) -> None:
    tenant = await telling.deliveries.tenant()
    for types in ((), ("*",), ("crossdock*",)):
        await telling.deliveries.destination(tenant, receiver.url("/all"), event_types=types)
    await failing(telling, tenant)
    assert await telling.tell() == []
    assert await telling.events(tenant) == []
    assert not await telling.alerts.admin.fetchval(
        "SELECT count(*) FROM crossdock.sources WHERE tenant_id = $1", tenant
    )
    # It is settled: who asks later hears of what comes later.
    await telling.listener(tenant, receiver.url("/alerts"))
    assert await telling.tell() == []


async def test_a_muted_kind_is_listed_and_told_to_nobody(
    telling: Telling, receiver: Receiver
) -> None:
    tenant = await telling.deliveries.tenant()
    await telling.listener(tenant, receiver.url("/alerts"))
    by = Principal(tenant, "active", Actor("user", ids.new()), frozenset())
    muted = {"muted": ["destination_failing"]}
    await telling.alerts.wishes.patch(tenant, muted, None, by=by)
    await failing(telling, tenant)
    assert await telling.tell() == []
    assert await telling.alerts.kinds(tenant) == [("destination_failing", True)]
    assert await telling.alerts.mails(tenant) == []


async def test_a_crash_before_it_is_noted_tells_nobody_twice(
    telling: Telling, receiver: Receiver
) -> None:
    tenant = await telling.deliveries.tenant()
    await telling.listener(tenant, receiver.url("/alerts"))
    await failing(telling, tenant)
    assert len(await telling.tell()) == 1
    # What a crash between the broker's word and the note leaves behind:
    await telling.alerts.admin.execute(
        "UPDATE crossdock.alerts SET told_at = NULL WHERE tenant_id = $1", tenant
    )
    assert await telling.herald.work() == 1
    assert await telling.ingest.is_empty()  # the broker knew it
    # And beyond the broker's window, it is the ledger that knows:
    [alert] = await telling.alerts.listed(tenant)
    source = await telling.herald._source(tenant)
    again = rules.message(alert, "raised", source)
    await telling.ingest.accept(again, again)
    assert await telling.persist() == []
    [row] = await telling.events(tenant)
    assert row["id"].bytes == again.event_id


async def test_several_heralds_at_once_tell_once(telling: Telling, receiver: Receiver) -> None:
    tenant = await telling.deliveries.tenant()
    await telling.listener(tenant, receiver.url("/alerts"))
    await failing(telling, tenant)
    heralds = [telling.another() for _ in range(4)]
    await asyncio.gather(*(one.work() for one in heralds))
    assert len(await telling.persist()) == 1
    assert len(await telling.events(tenant)) == 1


async def test_while_the_broker_is_away_it_stays_untold(
    telling: Telling, receiver: Receiver
) -> None:
    tenant = await telling.deliveries.tenant()
    await telling.listener(tenant, receiver.url("/alerts"))
    await failing(telling, tenant)
    info = await telling.ingest.jetstream.stream_info("INGEST")
    await telling.ingest.jetstream.delete_stream("INGEST")
    with pytest.raises(BrokerUnavailable):
        await telling.herald.work()
    await telling.ingest.jetstream.add_stream(info.config)
    assert len(await telling.tell()) == 1


async def test_it_is_sealed_where_its_source_says_so(telling: Telling, receiver: Receiver) -> None:
    bed, tenant = telling.alerts, await telling.deliveries.tenant()
    await telling.listener(tenant, receiver.url("/alerts"))
    await bed.source(tenant, scheme="api", encrypts=True)
    await failing(telling, tenant)
    assert await telling.another(keys=None).work() == 1  # who can't seal says nothing
    assert await telling.persist() == []
    await bed.admin.execute(
        "UPDATE crossdock.alerts SET told_at = NULL WHERE tenant_id = $1", tenant
    )
    jobs = await telling.tell()
    [row] = await telling.events(tenant)
    assert b"Billing" not in row["body"]
    key = await telling.keys.get(tenant, row["data_key"])
    assert b"Billing" in open_payload(key, tenant, row["id"], row["body"])
    async with telling.deliveries.dispatching() as dispatcher:
        await dispatcher.offer(jobs)
        await until(lambda: receiver.calls)
    assert b"Billing" in receiver.calls[0].body


@pytest.mark.parametrize("mode", ["buffer", "refuse"])
async def test_what_holds_for_the_tenants_own_source_holds_for_alerts(
    telling: Telling, receiver: Receiver, mode: str
) -> None:
    bed, tenant = telling.alerts, await telling.deliveries.tenant()
    await telling.listener(tenant, receiver.url("/alerts"))
    await bed.source(tenant, scheme="api", state="paused", buffers=mode == "buffer")
    await failing(telling, tenant)
    assert await telling.tell() == []
    statuses = [row["status"] for row in await telling.events(tenant)]
    assert statuses == (["held"] if mode == "buffer" else [])


async def test_only_who_names_them_takes_them_and_none_takes_its_own(
    telling: Telling, receiver: Receiver
) -> None:
    tenant = await telling.deliveries.tenant()
    named = [
        await telling.listener(tenant, receiver.url("/alerts"), event_types=types)
        for types in (("crossdock.*",), ("a.b", "crossdock.alert.raised"))
    ]
    for types in ((), ("*",), ("*.raised",), ("crossdock.alert.resolved",)):
        await telling.listener(tenant, receiver.url("/others"), event_types=types)
    await failing(telling, tenant)
    jobs = await telling.tell()
    assert {job.leased.destination_id for job in jobs} == set(named)
    await telling.alerts.change(named[0], failing_since=telling.alerts.now - HOUR)
    await telling.alerts.pass_by(MINUTE)
    jobs = await telling.tell()
    assert [job.leased.destination_id for job in jobs] == [named[1]]


async def test_destinations_that_hear_of_each_others_failures_make_no_circle(
    telling: Telling, receiver: Receiver
) -> None:
    bed, tenant = telling.alerts, await telling.deliveries.tenant()
    pair = [await telling.listener(tenant, receiver.url("/down", 400)) for _ in range(2)]
    for one in pair:
        await bed.change(one, failing_since=bed.now)
    jobs: list[object] = []
    for _ in range(48):
        await bed.pass_by(HOUR / 2)
        found = await telling.tell()
        jobs += found
        # They fail for good, all of them: dead letters of alerts.
        await bed.admin.execute(
            "UPDATE crossdock.deliveries SET state = 'dead', finished_at = $2"
            " WHERE tenant_id = $1 AND state = 'pending'",
            tenant,
            bed.now,
        )
    assert await bed.kinds(tenant) == [("destination_failing", True)] * 2
    assert len(jobs) == 2  # each heard of the other one, once in a day


async def test_no_webhook_of_a_provider_passes_for_an_alert(
    telling: Telling, receiver: Receiver
) -> None:
    tenant = await telling.deliveries.tenant()
    await telling.listener(tenant, receiver.url("/alerts"))
    forged = telling.deliveries.arrival(tenant, event_type="crossdock.alert.raised")
    assert await telling.deliveries.persist(forged) == []
    assert len(await telling.events(tenant)) == 1
