"""One worker for all shards: each flows by itself, and a new one within seconds."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final
from uuid import UUID

import msgspec
import pytest
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from crossdock.config import DatabaseSettings, Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.embedded.postgres import DATABASE
from crossdock.health import of_shard
from proto import subjects
from proto.ingest import encoder
from tests.beds.delivery import DeliveryBed, Receiver, until
from tests.beds.shards import Town
from tests.beds.worker import ROLES, Ingest, WorkerProcess, working

pytestmark = pytest.mark.timeout(120)

SECONDS: Final = 10.0


class Shards:
    """Two shards, a tenant with a destination on each, and the broker."""

    def __init__(
        self, town: Town, databases: Databases, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
    ) -> None:
        self.town = town
        self.databases = databases
        self.bed = bed
        self.ingest = ingest
        self.receiver = receiver
        self.tenants: list[UUID] = []

    async def settle(self) -> None:
        """Make the tenants."""
        await self.databases.shards()
        for shard in (0, 1):
            tenant = (await self.bed.tenants.create(f"Tenant {shard}", shard=shard)).id
            await self.bed.destination(tenant, self.receiver.url(f"/{shard}"))
            self.tenants.append(tenant)

    async def accept(self, shard: int, count: int = 1) -> None:
        """Publish webhooks of a shard's tenant, as a gateway that has answered 202."""
        for _ in range(count):
            message = self.bed.arrival(self.tenants[shard]).message
            await self.ingest.jetstream.publish(subjects.ingest(shard), encoder.encode(message))

    async def delivered(self, shard: int, count: int, *, within_s: float = 20.0) -> None:
        """Wait until so many of a shard's have arrived."""
        await until(lambda: len(self.receiver.seen(f"/{shard}")) == count, within_s=within_s)


@pytest.fixture
async def shards(
    worker_settings: Settings,
    ingest: Ingest,
    receiver: Receiver,
    postgres_server: EmbeddedPostgres,
    new_database: Callable[[], DatabaseSettings],
) -> AsyncIterator[Shards]:
    """An installation of two shards."""
    first, second = new_database(), new_database()
    async with Town.open(postgres_server, first, second) as town:
        databases = await Databases.open(first, ROLES)
        settings = msgspec.structs.replace(worker_settings, database=first)
        bed = DeliveryBed(databases, settings)
        found = Shards(town, databases, bed, ingest, receiver)
        await found.settle()
        yield found
        await databases.close()
        for shard in (0, 1):
            await ingest.jetstream.purge_stream(
                subjects.INGEST_STREAM, subject=subjects.ingest(shard)
            )


async def test_each_shards_webhooks_are_stored_there_and_delivered(shards: Shards) -> None:
    async with working(shards.bed.settings) as worker:
        for shard in (0, 1):
            await shards.accept(shard, 20)
        for shard in (0, 1):
            await shards.delivered(shard, 20)
        await until(shards.ingest.is_empty)
        await until(lambda: has_components(worker, {"nats", "postgres", "postgres.1"}))
        assert await worker.stop() == 0
        assert not worker.said("poison")
    for shard, tenant in enumerate(shards.tenants):
        async with shards.databases.shard(shard).queue() as conn:
            rows = await conn.fetch("SELECT tenant_id FROM crossdock.deliveries")
        assert [row["tenant_id"] for row in rows] == [tenant] * 20


async def close_database(shards: Shards, shard: int) -> None:
    """Let nobody connect to a shard's database, and cut off who has."""
    admin = shards.town.admins[shard]
    name = await admin.fetchval("SELECT current_database()")
    await shards.town.admins[1 - shard].execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def components_of(worker: WorkerProcess) -> dict[str, dict[str, str]]:
    """Return what a worker says of its surroundings."""
    found = msgspec.json.decode((await worker.ask("/health/components"))[1])
    return dict(found["components"])


async def has_components(worker: WorkerProcess, names: set[str]) -> bool:
    """Tell whether these are the components."""
    return set(await components_of(worker)) == names


async def is_down(worker: WorkerProcess, shard: int) -> bool:
    """Tell whether a worker says that a shard's database is away."""
    found = await components_of(worker)
    return found.get(of_shard("postgres", shard), {}).get("state") == "down"


async def open_database(shards: Shards, shard: int) -> None:
    """Let everybody connect again."""
    name = await shards.town.admins[shard].fetchval("SELECT current_database()")
    await shards.town.admins[1 - shard].execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.mark.parametrize("away", [0, 1])
async def test_one_database_is_away_and_the_other_shard_flows(shards: Shards, away: int) -> None:
    there = 1 - away
    async with working(shards.bed.settings) as worker:
        for shard in (0, 1):
            await shards.accept(shard)
            await shards.delivered(shard, 1)
        await close_database(shards, away)
        await shards.accept(away, 5)
        await until(lambda: worker.said("work_waits"))
        await shards.accept(there, 50)
        await shards.delivered(there, 51)
        assert (await worker.ask("/health/ready"))[0] == 200
        await until(lambda: is_down(worker, away))
        assert len(shards.receiver.seen(f"/{away}")) == 1
        await open_database(shards, away)
        await shards.delivered(away, 6)
        await until(shards.ingest.is_empty)
        assert await worker.stop() == 0
        assert b"Traceback" not in b"".join(worker.lines)


async def test_a_worker_starts_with_one_database_away(shards: Shards) -> None:
    await close_database(shards, 1)
    async with working(shards.bed.settings) as worker:
        for shard in (0, 1):
            await shards.accept(shard)
        await shards.delivered(0, 1)
        assert (await worker.ask("/health/ready"))[0] == 200
        await open_database(shards, 1)
        await shards.delivered(1, 1)


async def test_a_shard_that_is_added_flows_within_seconds(shards: Shards) -> None:
    admin = shards.town.admins[0]
    row = await admin.fetchrow("SELECT name, url FROM crossdock.shards WHERE id = 1")
    await admin.execute("UPDATE crossdock.placements SET shard = 0 WHERE shard = 1")
    await admin.execute("DELETE FROM crossdock.shards WHERE id = 1")
    async with working(shards.bed.settings) as worker:
        await shards.accept(0)
        await shards.accept(1)
        await shards.delivered(0, 1)
        assert [line["shard"] for line in worker.said("shard_started")] == [0]
        await admin.execute("INSERT INTO crossdock.shards (id, name, url) VALUES (1, $1, $2)", *row)
        await shards.delivered(1, 1, within_s=SECONDS)


async def test_a_worker_works_only_for_the_shards_it_is_given(shards: Shards) -> None:
    worker = msgspec.structs.replace(shards.bed.settings.worker, shards=(1,))
    only = msgspec.structs.replace(shards.bed.settings, worker=worker)
    async with working(only):
        await shards.accept(0)
        await shards.accept(1)
        await shards.delivered(1, 1)
        assert await shards.ingest.waiting() == 1
    assert not shards.receiver.seen("/0")
    async with working(shards.bed.settings):
        await shards.delivered(0, 1)


async def test_a_database_that_refuses_us_ends_nothing_else(
    shards: Shards, private_postgres: EmbeddedPostgres
) -> None:
    """That server knows other passwords."""
    admin = shards.town.admins[0]
    await admin.execute(
        "UPDATE crossdock.shards SET url = $1 WHERE id = 1",
        private_postgres.settings(DATABASE).url,
    )
    async with working(shards.bed.settings) as worker:
        await until(lambda: [line for line in worker.said("work_waits") if is_refusal(line)])
        await shards.accept(0, 5)
        await shards.delivered(0, 5)
        assert await worker.stop() == 0


def is_refusal(line: dict[str, str]) -> bool:
    """Tell whether a line of the log is about a password."""
    return "refuses us" in line["reason"]


async def take_the_name(jetstream: JetStreamContext, shard: int) -> None:
    """Have a consumer of another kind where a shard's would be."""
    name = subjects.persist_consumer(shard)
    with suppress(NotFoundError):
        await jetstream.delete_consumer(subjects.INGEST_STREAM, name)
    theirs = ConsumerConfig(
        durable_name=name, filter_subject=subjects.ingest(shard), ack_policy=AckPolicy.NONE
    )
    await jetstream.add_consumer(subjects.INGEST_STREAM, theirs)


async def test_a_shard_that_the_broker_refuses_ends_nothing_else(shards: Shards) -> None:
    """There is a consumer of its name that needs no acknowledgement, which nobody can change."""
    jetstream = shards.ingest.jetstream
    await take_the_name(jetstream, 1)
    async with working(shards.bed.settings) as worker:
        try:
            await until(lambda: worker.said("shard_refused"))
        finally:
            await jetstream.delete_consumer(subjects.INGEST_STREAM, subjects.persist_consumer(1))
        await shards.accept(0, 5)
        await shards.delivered(0, 5)
        await shards.accept(1, 5)
        await shards.delivered(1, 5)
        assert await worker.stop() == 0


async def test_a_first_shard_that_the_broker_refuses_is_told_and_the_end(
    worker_settings: Settings, ingest: Ingest
) -> None:
    jetstream = ingest.jetstream
    await take_the_name(jetstream, 0)
    worker = WorkerProcess(worker_settings)
    await worker.start()
    try:
        assert await worker.end() != 0
    finally:
        await worker.kill()
        await jetstream.delete_consumer(subjects.INGEST_STREAM, subjects.persist_consumer(0))
    said = b"".join(worker.lines)
    assert b"NATS refuses the consumer persist-0" in said
    assert b"Traceback" not in said
