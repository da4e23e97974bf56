"""What is old goes with its partition; what is not finished stays, and so does what it needs."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from crossdock.db import Database, Databases
from crossdock.db.engine import connecting
from crossdock.db.partitions import PARENTS, Partition, ensure_ahead, listed
from crossdock.db.retention import DropReport, drop_before
from crossdock.errors import NotFound
from crossdock.inbound.events.service import Events
from crossdock.inbound.persist import Arrival, Duplicate, Persister, Stored
from tests.beds.world import Destination, Tenant, World, fresh, id_at, tenant

DAY = timedelta(days=1)


class Past:
    """A day long ago, with webhooks in every state."""

    def __init__(self, world: World, database: Database, day: datetime) -> None:
        self.world = world
        self.database = database
        self.day = day
        self.arrivals: dict[str, list[Arrival]] = {}
        self.duplicates: dict[UUID, UUID] = {}
        self.tenants: list[Tenant] = []

    async def fill(self, each: int = 20) -> None:
        """Store the same number of events for each state their delivery ends in."""
        self.tenants = [tenant(Destination(fresh())) for _ in range(5)]
        await self.world.add(*self.tenants)
        persister = Persister(self.database, lease_s=60)
        async with self.database.session("maintenance") as conn:
            await ensure_ahead(conn, now=self.day, ahead=DAY)
        for state in ("delivered", "dead", "pending", "cancelled", "replayed"):
            batch = [
                self.world.webhook(
                    self.tenants[at % 5], event_id=id_at(self.day + timedelta(hours=12))
                )
                for at in range(each)
            ]
            copies = [self.world.again(one) for one in batch]
            self.duplicates |= {
                copy.event_id: one.event_id for copy, one in zip(copies, batch, strict=True)
            }
            done = await persister.persist(batch + copies)
            for leased, _ in done.leased:
                await self.world.admin.execute(
                    "INSERT INTO crossdock.attempts"
                    " (tenant_id, id, delivery_id, number, duration_ms) VALUES ($1, $2, $3, 1, 1)",
                    leased.tenant_id,
                    id_at(self.day + timedelta(hours=13)),
                    leased.id,
                )
            await self.world.admin.execute(
                "UPDATE crossdock.deliveries SET state = $1 WHERE event_id = ANY ($2)",
                state,
                [one.event_id for one in batch],
            )
            self.arrivals[state] = batch

    async def drop(self, **options: Any) -> DropReport:
        """Drop what is older than the day after."""
        async with self.database.session("maintenance") as conn:
            return await drop_before(conn, self.day + 2 * DAY, **options)

    async def left(self, table: str, state: str, column: str = "event_id") -> int:
        """Return how many rows belong to events of a state."""
        found = [one.event_id for one in self.arrivals[state]]
        return await self.world.count(table, f"{column} = ANY ($1)", found)

    async def attempts_left(self, state: str) -> int:
        """Return how many attempts belong to deliveries of events of a state."""
        found: int = await self.world.admin.fetchval(
            "SELECT count(*) FROM crossdock.attempts AS a JOIN crossdock.deliveries AS d"
            " ON d.tenant_id = a.tenant_id AND d.id = a.delivery_id WHERE d.event_id = ANY ($1)",
            [one.event_id for one in self.arrivals[state]],
        )
        return found


@pytest.fixture
async def past(world: World, database: Database, request: pytest.FixtureRequest) -> Past:
    """A day of its own for each test."""
    number = list(request.session.items).index(request.node)
    return Past(world, database, datetime(2001, 1, 1, tzinfo=UTC) + 30 * DAY * number)


async def test_unfinished_deliveries_and_dead_letters_outlive_their_partition(past: Past) -> None:
    await past.fill()
    report = await past.drop()
    name = f"events_{past.day:%Y%m%d}"
    kept = {one.name: one.rows_kept for one in report.partitions}
    assert kept[name] == kept[name.replace("events", "deliveries")] == 40
    assert kept[name.replace("events", "attempts")] == 40
    for state in ("dead", "pending"):
        assert await past.left("deliveries", state) == 20
        assert await past.left("events", state, "id") == 20
        assert await past.left("event_keys", state) == 20
        assert await past.left("event_aliases", state) == 20
        assert await past.attempts_left(state) == 20
    for state in ("delivered", "cancelled", "replayed"):
        for table, column in (
            ("deliveries", "event_id"),
            ("events", "id"),
            ("event_keys", "event_id"),
            ("event_aliases", "event_id"),
        ):
            assert await past.left(table, state, column) == 0, (table, state)
    assert (report.keys, report.aliases) == (60, 60)


async def test_every_id_of_what_is_kept_still_resolves(past: Past, databases: Databases) -> None:
    await past.fill()
    await past.drop()
    events = Events(databases)
    for one in past.arrivals["dead"][:3]:
        assert (await events.get(one.tenant_id, one.event_id)).body == one.message.body
    for copy, original in past.duplicates.items():
        owner = next(
            (
                (one.tenant_id, state)
                for state, arrivals in past.arrivals.items()
                for one in arrivals
                if one.event_id == original
            )
        )
        if owner[1] in {"dead", "pending"}:
            assert (await events.get(owner[0], copy)).id == original
        else:
            with pytest.raises(NotFound):
                await events.get(owner[0], copy)


async def test_a_key_lives_as_long_as_its_event(past: Past) -> None:
    await past.fill()
    await past.drop()
    persister = Persister(past.database, lease_s=60)
    dead, delivered = past.arrivals["dead"][0], past.arrivals["delivered"][0]
    batch = [past.world.again(dead), past.world.again(delivered)]
    assert (await persister.persist(batch)).outcomes == [
        Duplicate(batch[0].event_id, dead.event_id),
        Stored(batch[1].event_id),
    ]


async def test_a_second_pass_takes_what_was_finished_since(past: Past) -> None:
    await past.fill()
    await past.drop()
    assert await past.drop() == DropReport()
    await past.world.admin.execute(
        "UPDATE crossdock.deliveries SET state = 'delivered' WHERE event_id = ANY ($1)",
        [one.event_id for one in past.arrivals["pending"]],
    )
    report = await past.drop()
    assert {one.rows_kept for one in report.partitions} == {20}
    assert await past.left("events", "pending", "id") == 0
    assert await past.left("events", "dead", "id") == 20


async def test_dead_letters_can_have_a_time_of_their_own(past: Past) -> None:
    await past.fill()
    await past.drop(dead_before=past.day)
    assert await past.left("deliveries", "dead") == 20
    report = await past.drop(dead_before=past.day + DAY)
    assert {one.rows_kept for one in report.partitions} == {20}
    assert await past.left("deliveries", "dead") == await past.left("events", "dead", "id") == 0
    assert await past.left("events", "pending", "id") == 20


async def test_a_partition_with_nothing_to_keep_is_gone(past: Past) -> None:
    await past.fill(each=3)
    await past.world.admin.execute("UPDATE crossdock.deliveries SET state = 'delivered'")
    report = await past.drop()
    assert {one.rows_kept for one in report.partitions} == {0}
    async with past.database.session("maintenance") as conn:
        for parent in PARENTS:
            assert all(one.begins > past.day for one in await listed(conn, parent))


async def test_an_event_is_kept_for_a_replay_made_much_later(past: Past) -> None:
    await past.fill()
    one = past.arrivals["delivered"][0]
    await past.world.admin.execute(
        "INSERT INTO crossdock.deliveries (tenant_id, id, event_id, destination_id, due_at)"
        " VALUES ($1, $2, $3, $2, now())",
        one.tenant_id,
        fresh(),
        one.event_id,
    )
    await past.drop()
    assert await past.left("events", "delivered", "id") == 1
    assert await past.left("event_keys", "delivered") == 1


async def test_old_rows_outside_of_every_partition_go_too(past: Past) -> None:
    one = tenant(Destination(fresh()))
    await past.world.add(one)
    batch = [past.world.webhook(one, event_id=id_at(past.day)) for _ in range(4)]
    await Persister(past.database, lease_s=60).persist(batch)
    await past.world.admin.execute(
        "UPDATE crossdock.deliveries SET state = 'delivered' WHERE event_id <> $1",
        batch[0].event_id,
    )
    report = await past.drop()
    assert report.stray_rows >= 6, "three events and their deliveries, and what others left"
    assert await past.world.count("deliveries", "tenant_id = $1", one.id) == 1
    assert await past.world.count("events", "tenant_id = $1", one.id) == 1
    assert await past.world.count("event_keys", "tenant_id = $1", one.id) == 1


async def test_what_changes_while_the_copy_is_made_is_not_lost(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crossdock.db import retention  # noqa: PLC0415 - patched below

    await past.fill()
    swap = retention._swap
    dead, pending = past.arrivals["dead"][0], past.arrivals["pending"][0]
    delivered = past.arrivals["delivered"][0]
    update = "UPDATE crossdock.deliveries SET state = $1, attempts = 9 WHERE event_id = $2"

    async def late(
        connection: asyncpg.Connection, parent: str, partition: Partition, **named: Any
    ) -> Any:
        if partition.name == f"deliveries_{past.day:%Y%m%d}":
            await past.world.admin.execute(update, "delivered", pending.event_id)
            await past.world.admin.execute(update, "dead", delivered.event_id)
            await past.world.admin.execute(update, "dead", dead.event_id)
        return await swap(connection, parent, partition, **named)

    monkeypatch.setattr(retention, "_swap", late)
    await past.drop()
    assert await past.left("deliveries", "pending") == 19
    assert await past.left("deliveries", "delivered") == 1
    assert (
        await past.world.count("deliveries", "event_id = $1 AND attempts = 9", dead.event_id) == 1
    )
    assert await past.left("events", "delivered", "id") == 1
    assert await past.left("events", "pending", "id") == 19


async def test_a_busy_partition_is_left_for_the_next_pass(past: Past) -> None:
    await past.fill(each=2)
    blocker = await asyncpg.connect(**connecting(past.world.settings, "dispatch"))
    try:
        await blocker.execute("BEGIN")
        await blocker.execute("SELECT count(*) FROM crossdock.deliveries")
        report = await past.drop()
        assert not any(one.name.startswith("deliveries") for one in report.partitions)
        await blocker.execute("ROLLBACK")
    finally:
        await blocker.close()
    report = await past.drop()
    assert any(one.name.startswith("deliveries") for one in report.partitions)
    assert await past.left("deliveries", "pending") == 2


async def test_two_passes_at_once_do_the_work_once(past: Past) -> None:
    await past.fill()
    reports = await asyncio.gather(*(past.drop() for _ in range(3)))
    assert sum(bool(report.partitions) for report in reports) == 1
    assert await past.left("events", "dead", "id") == 20


async def test_the_feed_of_changed_routes_is_kept_for_an_hour(past: Past) -> None:
    one = tenant(Destination(fresh()))
    await past.world.add(one)
    await past.world.admin.execute(
        "UPDATE crossdock.route_changes SET created_at = now() - interval '61 minutes'"
    )
    two = tenant(Destination(fresh()))
    await past.world.add(two)
    await past.drop()
    assert await past.world.count("route_changes") == 1
    assert await past.world.count("route_changes", "tenant_id = $1", two.id) == 1
