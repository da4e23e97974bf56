"""Partitions are made ahead, take in what came before them, and never stop anybody for long."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from crossdock import ids
from crossdock.db import Database, Databases
from crossdock.db.partitions import PARENTS, Partition, ensure_ahead, id_range, listed
from crossdock.errors import DatabaseUnavailable
from crossdock.inbound.events.service import Events
from crossdock.inbound.persist import Persister
from tests.beds.world import Destination, World, fresh, id_at, tenant

DAY = timedelta(days=1)


def midnight(moment: datetime) -> datetime:
    """Return the start of a day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


async def test_a_fresh_database_has_a_week_of_days(database: Database) -> None:
    today = midnight(datetime.now(UTC))
    async with database.session("maintenance") as conn:
        for parent in PARENTS:
            found = await listed(conn, parent)
            assert [one.begins for one in found] == [today + DAY * at for at in range(-1, 8)]
            assert all(one.ends - one.begins == DAY for one in found)
            assert found[1].name == f"{parent}_{today:%Y%m%d}"
        assert await id_range(conn) == (ids.floor(today - DAY), ids.floor(today + 8 * DAY))


async def test_only_what_is_missing_is_made(database: Database) -> None:
    later = datetime.now(UTC) + 2 * DAY
    async with database.session("maintenance") as conn:
        assert await ensure_ahead(conn) == []
        assert len(await ensure_ahead(conn, now=later)) == 2 * len(PARENTS)
        assert await ensure_ahead(conn, now=later) == []


async def test_a_gap_ends_the_range(database: Database) -> None:
    past = datetime(2020, 5, 17, 12, tzinfo=UTC)
    async with database.session("maintenance") as conn:
        assert await id_range(conn, past) is None
        await ensure_ahead(conn, now=past)
        low = ids.floor(midnight(past - DAY))
        assert await id_range(conn, past) == (low, ids.floor(midnight(past + 8 * DAY)))
        assert (await id_range(conn) or (low,))[0] > low
        assert await id_range(conn, past + 30 * DAY) is None


async def test_other_periods_fit_beside_days(database: Database) -> None:
    past = datetime(2021, 1, 1, 3, 30, tzinfo=UTC)
    hour = timedelta(hours=6)
    async with database.session("maintenance") as conn:
        names = await ensure_ahead(conn, now=past, period=hour, ahead=hour)
        assert "events_20201231" in names
        assert "events_20210101t0600" in names
        assert await ensure_ahead(conn, now=past, period=DAY, ahead=DAY) == [
            f"{parent}_20210102" for parent in PARENTS
        ]


async def test_rows_that_came_first_move_into_their_partition(
    world: World, database: Database, databases: Databases
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    moment = datetime(2019, 7, 1, 12, tzinfo=UTC)
    early = world.webhook(one, event_id=id_at(moment))
    await Persister(database, lease_s=60).persist([early])
    assert await world.count("events_rest", "id = $1", early.event_id) == 1
    async with database.session("maintenance") as conn:
        await ensure_ahead(conn, now=moment, ahead=timedelta())
    for parent, column in (("events", "id"), ("deliveries", "event_id")):
        assert await world.count(f"{parent}_rest", f"{column} = $1", early.event_id) == 0
        assert await world.count(f"{parent}_20190701", f"{column} = $1", early.event_id) == 1
    assert (await Events(databases).get(one.id, early.event_id)).body == early.message.body


async def test_who_waits_for_a_lock_gives_up_and_leaves_nothing_behind(
    world: World, database: Database
) -> None:
    moment = datetime(2018, 1, 1, tzinfo=UTC)
    await world.admin.execute("BEGIN; LOCK TABLE crossdock.events_rest IN ACCESS SHARE MODE")
    try:
        with pytest.raises(DatabaseUnavailable):
            async with database.session("maintenance") as conn:
                await ensure_ahead(conn, now=moment, ahead=timedelta())
    finally:
        await world.admin.execute("ROLLBACK")
    assert await world.admin.fetchval("SELECT to_regclass('crossdock.events_20180101_new')") is None
    async with database.session("maintenance") as conn:
        made = await ensure_ahead(conn, now=moment, ahead=timedelta())
    assert "events_20180101" in made


async def test_a_get_by_id_reads_one_partition(world: World) -> None:
    plan = await world.admin.fetch(
        "EXPLAIN SELECT * FROM crossdock.events WHERE tenant_id = $1 AND id = $2", fresh(), fresh()
    )
    scans = [row[0] for row in plan if "Scan" in row[0]]
    assert len(scans) == 1
    assert "events_2" in scans[0]


async def test_bounds_are_the_ids_of_their_moments(world: World) -> None:
    for moment in (datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 2, 3, 4, 5, 6, 7000, UTC)):
        found: UUID = await world.admin.fetchval("SELECT crossdock.uuid7_floor($1)", moment)
        assert found == ids.floor(moment)
        assert Partition("", found, found).begins == moment


async def test_names_from_outside_are_refused(world: World, database: Database) -> None:
    async with database.session("maintenance") as conn:
        for parent in ("tenants", "events; DROP TABLE x", "", "events_rest"):
            with pytest.raises(asyncpg.PostgresError, match="is not cut into partitions"):
                await conn.execute("SELECT crossdock.drop_partition($1, now())", parent)
