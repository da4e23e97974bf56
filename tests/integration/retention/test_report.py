"""What outlives its partition without a delivery, and what is told of what went."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from crossdock import ids
from crossdock.db import Database, Databases, retention
from crossdock.db.partitions import Partition, ensure_ahead
from crossdock.db.retention import drop_before, due_before
from crossdock.inbound.persist import Arrival, Persister
from crossdock.paging import Window
from crossdock.retention.forgetting import forget_told
from crossdock.retention.service import Passes, Retention
from tests.beds.world import Destination, Tenant, World, fresh, id_at, tenant

DAY = timedelta(days=1)
KEY = b"k" * 16


class Old:
    """A day long ago, with webhooks of every status."""

    def __init__(self, world: World, database: Database, day: datetime) -> None:
        self.world = world
        self.database = database
        self.day = day
        self.cutoff = day + 2 * DAY

    async def open(self) -> None:
        """Make its partition."""
        async with self.database.session("maintenance") as conn:
            await ensure_ahead(conn, now=self.day, ahead=DAY)

    async def add(self, one: Tenant, status: str, count: int, body: bytes = b"12345") -> list[UUID]:
        """Store events, each found by a value; their deliveries are done."""
        batch = []
        for _ in range(count):
            arrival = self.world.webhook(one, event_id=id_at(self.day + DAY / 2), body=body)
            message = msgspec.structs.replace(arrival.message, fields=[KEY])
            batch.append(Arrival.of(message, arrival.stream_seq))
        await Persister(self.database, lease_s=60).persist(batch)
        found = [arrival.event_id for arrival in batch]
        admin = self.world.admin
        await admin.execute(
            "UPDATE crossdock.events SET status = $1 WHERE id = ANY ($2)", status, found
        )
        await admin.execute(
            "UPDATE crossdock.deliveries SET state = 'delivered' WHERE event_id = ANY ($1)", found
        )
        return found

    async def left(self, table: str, found: list[UUID]) -> int:
        """Return how many of these events have rows left in a table."""
        return await self.world.count(table, "id = ANY ($1)", found)


@pytest.fixture
async def old(world: World, database: Database, request: pytest.FixtureRequest) -> Old:
    """A day of its own for each test."""
    number = list(request.session.items).index(request.node)
    found = Old(world, database, datetime(2001, 1, 1, tzinfo=UTC) + 30 * DAY * number)
    await found.open()
    return found


async def drop(old: Old) -> retention.DropReport:
    async with old.database.session("maintenance") as conn:
        return await drop_before(conn, old.cutoff)


async def test_events_that_wait_for_their_release_outlive_their_partition(old: Old) -> None:
    one = tenant(Destination(fresh()))
    await old.world.add(one)
    stored = {
        status: await old.add(one, status, 4)
        for status in ("accepted", "held", "quarantined", "releasing", "released", "dropped")
    }
    await drop(old)
    for table in ("events", "event_fields"):
        left = {status: await old.left(table, found) for status, found in stored.items()}
        assert left == {
            "accepted": 0,
            "held": 4,
            "quarantined": 0,
            "releasing": 4,
            "released": 0,
            "dropped": 0,
        }, table
    await old.world.admin.execute(
        "UPDATE crossdock.events SET status = 'accepted' WHERE id = ANY ($1)", stored["held"]
    )
    await drop(old)
    assert await old.left("events", stored["held"]) == 0
    assert await old.left("event_fields", stored["held"]) == 0
    assert await old.left("events", stored["releasing"]) == 4


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ("quarantined", "releasing", ["releasing"]),
        ("held", "accepted", []),
        ("held", "warned", ["warned"]),
    ],
)
async def test_a_status_that_changes_while_the_copy_is_made_is_the_one_that_counts(
    old: Old, monkeypatch: pytest.MonkeyPatch, before: str, after: str, left: list[str]
) -> None:
    one = tenant(Destination(fresh()))
    await old.world.add(one)
    found, other = await old.add(one, before, 3), await old.add(one, "held", 1)
    await old.add(one, "accepted", 1)
    swap = retention._swap

    async def late(
        connection: asyncpg.Connection, parent: str, partition: Partition, **named: Any
    ) -> Any:
        if parent == "events" and partition.begins == old.day:
            await old.world.admin.execute(
                "UPDATE crossdock.events SET status = $1 WHERE id = ANY ($2)", after, found
            )
            if after == "warned":  # let go just now, and not yet delivered
                await old.world.admin.execute(
                    "INSERT INTO crossdock.deliveries"
                    " (tenant_id, id, event_id, destination_id, is_replay, due_at)"
                    " SELECT tenant_id, id, id, source_id, false, now() FROM crossdock.events"
                    " WHERE id = ANY ($1)",
                    found,
                )
        return await swap(connection, parent, partition, **named)

    monkeypatch.setattr(retention, "_swap", late)
    await drop(old)
    rows = await old.world.admin.fetch(
        "SELECT status FROM crossdock.events WHERE id = ANY ($1)", found
    )
    assert [row[0] for row in rows] == 3 * left
    assert await old.left("events", other) == 1


async def test_each_tenant_is_told_what_went_and_what_stayed(
    old: Old, databases: Databases
) -> None:
    one, two, three = (tenant(Destination(fresh())) for _ in range(3))
    await old.world.add(one, two, three)
    await old.add(one, "accepted", 5, b"x" * 100)
    await old.add(one, "held", 2)
    await old.add(two, "warned", 3)
    await old.add(three, "held", 1)
    async with old.database.session("maintenance") as conn:
        (due,) = [one for one in await due_before(conn, old.cutoff) if one.begins == old.day]
    wanted = {(one.id, 5, 500, 2), (two.id, 3, 15, 0), (three.id, 0, 0, 1)}
    assert {(s.tenant_id, s.events, s.bytes, s.kept) for s in due.shares} == wanted
    report = await drop(old)
    assert (report.events, report.bytes) == (8, 515)
    service = Retention(databases, days=30)
    told = {owner.id: (await service.page(owner.id, Window())).items for owner in (one, two, three)}
    assert not told[three.id], "nothing of it went"
    for owner, events, size, kept in wanted:
        for drop_ in told[owner]:
            assert (drop_.events, drop_.bytes, drop_.kept) == (events, size, kept)
            assert (drop_.begins, drop_.ends) == (old.day, old.day + DAY)
    assert len(told[one.id]) == len(told[two.id]) == 1
    async with old.database.session("maintenance") as conn:
        assert await due_before(conn, old.cutoff) == []


async def test_a_partition_that_was_busy_is_not_told_of(old: Old, databases: Databases) -> None:
    one = tenant(Destination(fresh()))
    await old.world.add(one)
    await old.add(one, "accepted", 2)
    async with old.database.batch("ingest", {one.id}) as conn:
        await conn.execute("SELECT count(*) FROM crossdock.events")
        await drop(old)
    service = Retention(databases, days=30)
    assert not (await service.page(one.id, Window())).items
    await drop(old)
    assert len((await service.page(one.id, Window())).items) == 1


async def test_what_was_outside_of_every_partition_is_told_of_too(
    old: Old, databases: Databases
) -> None:
    one = tenant(Destination(fresh()))
    await old.world.add(one)
    stray = Old(old.world, old.database, old.day - 100 * DAY)
    await stray.add(one, "accepted", 2)
    kept = await stray.add(one, "held", 1)
    await drop(stray)
    (told,) = (await Retention(databases, days=30).page(one.id, Window())).items
    assert (told.events, told.bytes) == (2, 10)
    assert await old.left("events", kept) == 1


async def test_an_operators_pass_looks_first_and_then_does_it(
    old: Old, databases: Databases
) -> None:
    one = tenant(Destination(fresh()))
    await old.world.add(one)
    await old.add(one, "accepted", 4)
    passes = Passes(databases, days=30, clock=lambda: old.cutoff + 30 * DAY)
    (looked,) = await passes.run(dry=True)
    (due,) = [one for one in looked.due if one.begins == old.day]
    assert [share.events for share in due.shares] == [4]
    assert await old.world.count("events", "tenant_id = $1", one.id) == 4
    (done,) = await passes.run()
    assert done.report is not None
    assert done.report.events >= 4
    assert await old.world.count("events", "tenant_id = $1", one.id) == 0
    newest = (await passes.totals(1))[0]
    assert (newest.shard, newest.begins, newest.events, newest.tenants) == (0, old.day, 4, 1)
    (again,) = await passes.run(dry=True)
    assert again.due == ()


async def test_what_is_told_of_the_past_ends(world: World, database: Database) -> None:
    one = tenant()
    await world.add(one)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    for days in (0, 6, 8, 89, 91, 364, 366):
        moment = now - timedelta(days=days)
        await world.admin.execute(
            "INSERT INTO crossdock.refusals (tenant_id, source_id, id, reason, detail, method,"
            " address, headers, size) VALUES ($1, $2, $3, 'r', '', 'POST', '', '', 0)",
            one.id,
            one.sources[0],
            id_at(moment),
        )
        await world.admin.execute(
            "INSERT INTO crossdock.refusal_counts VALUES ($1, $2, $3, 'r', 1)",
            one.id,
            one.sources[0],
            moment.date(),
        )
        await world.admin.execute(
            "INSERT INTO crossdock.retention_drops VALUES ($1, $2, $3, $3, 1, 1, 0, $3)",
            one.id,
            ids.new(),
            moment,
        )
    assert await forget_told(database, now=now, batch=2) == 5 + 3 + 1
    assert await world.count("refusals", "tenant_id = $1", one.id) == 2
    assert await world.count("refusal_counts", "tenant_id = $1", one.id) == 4
    assert await world.count("retention_drops", "tenant_id = $1", one.id) == 6
    oldest: date = await world.admin.fetchval(
        "SELECT min(day) FROM crossdock.refusal_counts WHERE tenant_id = $1", one.id
    )
    assert oldest == (now - timedelta(days=89)).date()
