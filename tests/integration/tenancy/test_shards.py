"""Tenants on several shards: placed, found and listed, and an absent shard hides only its own."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
from sqlalchemy import make_url

from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import Conflict, DatabaseUnavailable, NotFound
from crossdock.paging import Window
from crossdock.tenancy.erasure import Eraser
from crossdock.tenancy.service import Tenants

AWAY = 2


@pytest.fixture(scope="module")
async def home(
    new_database: Callable[[], DatabaseSettings], postgres_server: EmbeddedPostgres
) -> AsyncIterator[tuple[DatabaseSettings, asyncpg.Connection]]:
    """A control database with a second shard, and a third that is away; and a superuser."""
    first, second = new_database(), new_database()
    name = str(make_url(second.url).database)
    admin = await asyncpg.connect(postgres_server.admin_url(name))
    await admin.execute("UPDATE crossdock.home SET shard = 1")
    await admin.close()
    admin = await asyncpg.connect(postgres_server.admin_url(str(make_url(first.url).database)))
    await admin.execute(
        "INSERT INTO crossdock.shards (id, name, url, state) VALUES"
        " (1, 'second', $1, 'open'), ($2, 'away', 'postgresql://127.0.0.1:1/x', 'closed')",
        second.url,
        AWAY,
    )
    yield first, admin
    await admin.close()


@pytest.fixture(scope="module")
async def database(
    home: tuple[DatabaseSettings, asyncpg.Connection],
) -> AsyncIterator[Databases]:
    found = await Databases.open(
        home[0], {"app", "control", "operator", "directory", "maintenance"}
    )
    yield found
    await found.close()


async def test_a_new_tenant_goes_where_it_is_told_or_where_the_fewest_are(
    tenants: Tenants,
) -> None:
    told = [await tenants.create(f"Told {number}", shard=0) for number in range(4)]
    assert {tenant.shard for tenant in told} == {0}
    by_rule = await tenants.create("By rule")
    assert by_rule.shard == 1
    with pytest.raises(Conflict, match="takes no new tenants"):
        await tenants.create("Nowhere", shard=AWAY)
    with pytest.raises(NotFound, match="no shard 9"):
        await tenants.create("Nowhere", shard=9)


async def test_a_slug_is_taken_once_on_all_shards(tenants: Tenants) -> None:
    outcomes = await asyncio.gather(
        *(tenants.create("Same", shard=number % 2) for number in range(6)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 5, outcomes
    assert await tenants.find("same") in outcomes


async def test_an_absent_shard_hides_only_its_own(
    tenants: Tenants, home: tuple[DatabaseSettings, asyncpg.Connection]
) -> None:
    here = [await tenants.create(f"Here {shard}", shard=shard) for shard in (0, 1)]
    absent = await tenants.create("Absent", shard=0)
    await home[1].execute(
        "UPDATE crossdock.placements SET shard = $1 WHERE tenant_id = $2", AWAY, absent.id
    )
    listed = {one.placement.slug: one for one in (await tenants.page(Window(None, 50))).items}
    assert [listed[tenant.slug].tenant for tenant in here] == here
    gone = listed["absent"]
    assert (gone.state, gone.tenant, gone.placement.shard) == ("unknown", None, AWAY)
    assert (await tenants.see("absent")).state == "unknown"
    with pytest.raises(DatabaseUnavailable):
        await tenants.find("absent")
    with pytest.raises(DatabaseUnavailable):
        await tenants.suspend("absent", reason="x")
    assert (await tenants.suspend("here-1", reason="x")).state == "suspended"


async def test_what_broke_off_is_finished_by_asking_again(
    tenants: Tenants, database: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BrokeOffError(Exception):
        """As if the process had ended here."""

    def break_off(*_: object) -> None:
        raise BrokeOffError

    with monkeypatch.context() as patch:
        patch.setattr(database.shard(1), "founding", break_off)
        with pytest.raises(BrokeOffError):
            await tenants.create("Broken", shard=1)
    assert (await tenants.see("broken")).state == "provisioning"
    made = await tenants.create("Broken, mended", "broken", shard=0)
    assert (made.shard, made.name) == (1, "Broken, mended")
    seen = await tenants.see("broken")
    assert (seen.tenant, seen.placement.name) == (made, "Broken, mended")
    with pytest.raises(Conflict):
        await tenants.create("Broken")


async def test_each_shard_erases_its_own(
    tenants: Tenants, database: Databases, home: tuple[DatabaseSettings, asyncpg.Connection]
) -> None:
    tenant = await tenants.create("Leaving", shard=1)
    await tenants.terminate("leaving", reason="x", grace_days=0)
    await Eraser(database, 0).work()
    assert (await tenants.find("leaving")).state == "terminating"
    await Eraser(database, 1).work()
    assert await tenants.find("leaving") != tenant
    assert (await tenants.find("leaving")).state == "terminated"
