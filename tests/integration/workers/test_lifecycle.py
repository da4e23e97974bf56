"""A worker that is stopped, killed, and left without its servers."""

import asyncio
import signal
import time

import msgspec
import pytest
from aiohttp import web

from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from tests.beds.delivery import DeliveryBed, Receiver, failing_first, until
from tests.beds.worker import ROLES, Ingest, WorkerProcess, for_tests, working


async def test_sigterm_finishes_what_flies_and_gives_back_what_waits(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    go = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await go.wait()
        return web.Response()

    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/wait", wait))
    slow = msgspec.structs.replace(
        worker_settings,
        delivery=msgspec.structs.replace(worker_settings.delivery, timeout_s=10, lease_s=60),
    )
    async with working(slow) as worker:
        await ingest.accept(*(bed.arrival(tenant).message for _ in range(100)))
        await until(lambda: len(receiver.calls) == 32)
        await until(ingest.is_empty)
        worker.send(signal.SIGTERM)
        await until(lambda: worker.said("worker_drains"))
        go.set()
        assert await worker.end() == 0
        assert worker.said("worker_stopped")
    states = await bed.states(tenant)
    assert (states.count("delivered"), states.count("pending")) == (32, 68)
    for one in await bed.all_of(tenant, state="pending"):
        assert one.delivery.due_at is not None
        assert one.delivery.due_at.timestamp() < time.time() + 5, "due now, not when leases end"
    assert await worker_goes_on(worker_settings, receiver, 100)


async def worker_goes_on(settings: Settings, receiver: Receiver, calls: int) -> bool:
    """Run another worker until so many calls are made in all."""
    async with working(settings):
        await until(lambda: len(receiver.calls) == calls)
    return True


async def test_a_hanging_receiver_holds_a_drain_no_longer_than_the_grace(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/hang", hang))
    slow = msgspec.structs.replace(
        for_tests(worker_settings, drain_grace_s=2.0),
        delivery=msgspec.structs.replace(worker_settings.delivery, timeout_s=15, lease_s=60),
    )
    async with working(slow) as worker:
        await ingest.accept(bed.arrival(tenant).message)
        await until(lambda: receiver.calls)
        began = time.monotonic()
        assert await worker.stop() == 0
        assert time.monotonic() - began < 5
        assert worker.said("drain_incomplete")
    assert await bed.states(tenant) == ["pending"]


@pytest.mark.timeout(120)
async def test_a_worker_killed_again_and_again_loses_nothing(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    # No 5xx: its breaker would open.
    await bed.destination(tenant, receiver.url("/moody", failing_first(1, 409)), retry=None)
    await bed.destination(tenant, receiver.url("/ok"))
    messages = [bed.arrival(tenant, b"%d" % n).message for n in range(400)]
    sent = 0
    for kill_after_s in (0.0, 0.05, 0.1, 0.2, 0.4, 0.7):
        async with working(worker_settings) as worker:
            await ingest.accept(*messages[sent : sent + 60])
            sent += 60
            await asyncio.sleep(kill_after_s)
            await worker.kill()
    async with working(worker_settings):
        await ingest.accept(*messages[sent:])

        async def all_over() -> bool:
            async with bed.database.queue() as conn:
                left = await conn.fetchval(
                    "SELECT count(*) FROM crossdock.deliveries"
                    " WHERE tenant_id = $1 AND state <> 'delivered'",
                    tenant,
                )
                made = await conn.fetchval(
                    "SELECT count(*) FROM crossdock.deliveries WHERE tenant_id = $1", tenant
                )
            return (left, made) == (0, 800)

        # Leases end after 3 s, the broker's ack wait is longer: it hands out what was fetched last.
        await until(all_over, within_s=90)
    assert {int(call.body) for call in receiver.seen("/ok")} == set(range(400))
    assert {int(call.body) for call in receiver.seen("/moody")} == set(range(400))


async def test_a_broker_that_is_away_at_the_start_is_waited_for(
    worker_settings: Settings, bed: DeliveryBed, receiver: Receiver, private_nats: EmbeddedNats
) -> None:
    settings = msgspec.structs.replace(worker_settings, nats=private_nats.settings())
    private_nats.stop()
    worker = WorkerProcess(settings)
    await worker.start()
    try:
        await until(lambda: worker.said("broker_away"))
        assert (await worker.ask("/health/live"))[0] == 200
        assert (await worker.ask("/health/ready"))[0] == 503
        assert b"Traceback" not in b"".join(worker.lines)
        private_nats.start()
        await worker.ready()
        ingest = await Ingest.open(settings)
        tenant = await bed.tenant()
        await bed.destination(tenant, receiver.url("/ok"))
        await ingest.accept(bed.arrival(tenant).message)
        await until(lambda: receiver.calls)
        await ingest.bus.close()
        assert await worker.stop() == 0
    finally:
        await worker.kill()


async def test_a_worker_that_waits_for_its_broker_stops_when_told(
    worker_settings: Settings, private_nats: EmbeddedNats
) -> None:
    settings = msgspec.structs.replace(worker_settings, nats=private_nats.settings())
    private_nats.stop()
    worker = WorkerProcess(settings)
    await worker.start()
    try:
        await until(lambda: worker.said("broker_away"))
        assert await worker.stop() == 0
        assert b"Traceback" not in b"".join(worker.lines)
    finally:
        await worker.kill()


@pytest.mark.timeout(120)
async def test_a_database_that_is_away_is_waited_for_at_the_start_and_later(
    worker_settings: Settings,
    receiver: Receiver,
    ingest: Ingest,
    private_postgres: EmbeddedPostgres,
) -> None:
    settings = msgspec.structs.replace(worker_settings, database=private_postgres.settings())
    database = await Databases.open(settings.database, ROLES)
    bed = DeliveryBed(database, settings)
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    private_postgres.stop()
    worker = WorkerProcess(settings)
    await worker.start()
    try:
        await worker.ready()
        first, second = bed.arrival(tenant, b"1").message, bed.arrival(tenant, b"2").message
        await ingest.accept(first)
        await until(lambda: worker.said("work_waits"))
        assert b"Traceback" not in b"".join(worker.lines)
        assert '"down"' in (await worker.ask("/health/components"))[1]
        private_postgres.start()
        await until(lambda: receiver.calls)
        await until(ingest.is_empty)
        private_postgres.kill()
        await ingest.accept(second)
        await asyncio.sleep(0.5)
        assert len(receiver.calls) == 1
        private_postgres.start()
        await until(lambda: len(receiver.calls) == 2)
        await until(ingest.is_empty)
        assert b"Traceback" not in b"".join(worker.lines)
        assert await worker.stop() == 0
    finally:
        await worker.kill()
        await database.close()


@pytest.mark.timeout(120)
async def test_a_broker_that_is_killed_is_come_back_to(
    worker_settings: Settings, bed: DeliveryBed, receiver: Receiver, private_nats: EmbeddedNats
) -> None:
    settings = msgspec.structs.replace(worker_settings, nats=private_nats.settings())
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    messages = [bed.arrival(tenant, b"%d" % n).message for n in range(100)]
    ingest = await Ingest.open(settings)
    async with working(settings) as worker:
        await ingest.accept(*messages[:50])
        private_nats.kill()
        await asyncio.sleep(0.3)
        private_nats.start()
        await until(lambda: ingest.bus.is_connected)
        await ingest.accept(*messages[50:])
        await until(lambda: {int(call.body) for call in receiver.calls} == set(range(100)))
        await until(ingest.is_empty, within_s=90)
        assert b"Traceback" not in b"".join(worker.lines)
    await ingest.bus.close()
    assert len(receiver.calls) == 100, "what was handed out twice was stored once"


async def test_a_port_that_is_taken_is_a_clear_line(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest
) -> None:
    async with working(worker_settings):
        second = WorkerProcess(worker_settings)
        await second.start()
        assert await second.end() != 0
    said = b"".join(second.lines)
    assert b"CROSSDOCK_WORKER__METRICS_PORT" in said
    assert b"Traceback" not in said
