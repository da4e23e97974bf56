"""Shards are added, shown, closed and chosen: by the service, and by the command line."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from crossdock import ids
from crossdock.config import DatabaseRole, DatabaseSettings, Settings
from crossdock.db import Databases
from crossdock.db.migrate import migrate
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import ConfigurationError, Conflict, Invalid, NotFound
from crossdock.shards.service import Shards
from crossdock.supervisor.environment import environment

ROLES: tuple[DatabaseRole, ...] = ("app", "control", "operator")

_numbers = count(1)


@pytest.fixture
def home(new_database: Callable[[], DatabaseSettings]) -> DatabaseSettings:
    """Shard 0 of an installation of this test's own."""
    return new_database()


@pytest.fixture
async def databases(home: DatabaseSettings) -> AsyncIterator[Databases]:
    found = await Databases.open(home, ROLES)
    yield found
    await found.close()


@pytest.fixture
def shards(databases: Databases) -> Shards:
    return Shards(databases)


@pytest.fixture
def empty(postgres_server: EmbeddedPostgres) -> Callable[[], str]:
    """Makes an empty database beside shard 0; returns its name."""

    def make() -> str:
        name = f"crossdock_shard_{next(_numbers)}"
        postgres_server.ensure_database(name)
        return name

    return make


async def test_an_empty_database_becomes_the_next_shard(
    home: DatabaseSettings,
    databases: Databases,
    shards: Shards,
    empty: Callable[[], str],
    postgres_server: EmbeddedPostgres,
) -> None:
    first, second = empty(), empty()
    made = await shards.add(
        "second", f"postgresql:///{first}", admin_url=postgres_server.admin_url(first)
    )
    assert (made.id, made.name, made.state) == (1, "second", "open")
    address = home.url.rpartition("/")[0] + f"/{second}"
    third = await shards.add("third", address, admin_url=postgres_server.admin_url(second))
    assert (third.id, third.url) == (2, address)
    again = await shards.add(
        "second", f"postgresql:///{first}", admin_url=postgres_server.admin_url(first)
    )
    assert again == made
    async with asyncio.timeout(20):
        while set(await databases.shards()) != {0, 1, 2}:
            await asyncio.sleep(0.05)
    for number in (1, 2):
        async with databases.shard(number).control() as conn:
            assert await conn.fetchval("SELECT shard FROM crossdock.home") == number
    assert [facts.is_reachable for facts in await shards.all()] == [True, True, True]
    assert [shard.id for shard in await shards.migrate_others()] == [1, 2]


async def test_adding_goes_on_where_it_broke_off(
    home: DatabaseSettings,
    shards: Shards,
    empty: Callable[[], str],
    postgres_server: EmbeddedPostgres,
) -> None:
    name = empty()
    url = postgres_server.settings(name).url
    # As it was left by a crash after the migration, before it was written down.
    await migrate(postgres_server.admin_url(name), msgspec.structs.replace(home, url=url), shard=1)
    made = await shards.add("second", f"postgresql:///{name}")
    assert made.id == 1


async def test_two_at_once_get_two_numbers(
    shards: Shards, empty: Callable[[], str], postgres_server: EmbeddedPostgres
) -> None:
    names = [empty() for _ in range(3)]
    made = await asyncio.gather(
        *(
            shards.add(
                f"s-{at}", f"postgresql:///{name}", admin_url=postgres_server.admin_url(name)
            )
            for at, name in enumerate(names)
        )
    )
    assert {shard.id for shard in made} == {1, 2, 3}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://h/d", "postgresql://"),
        ("postgresql://h", "postgresql://"),
        ("nonsense", "postgresql://"),
        ("postgresql://h:port/d", "postgresql://"),
        ("postgresql://me@h/d", "no password"),
        ("postgresql://me:secret@h/d", "no password"),
        ("postgresql:///crossdock_nowhere", "does not exist"),
    ],
)
async def test_what_is_no_address_is_refused(shards: Shards, url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        await shards.add("second", url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a-", "x" * 64])
async def test_what_is_no_name_is_refused(shards: Shards, name: str) -> None:
    with pytest.raises(Invalid):
        await shards.add(name, "postgresql:///x")


async def test_what_is_somebody_elses_is_left_alone(
    home: DatabaseSettings,
    shards: Shards,
    empty: Callable[[], str],
    postgres_server: EmbeddedPostgres,
    new_database: Callable[[], DatabaseSettings],
) -> None:
    name, other = empty(), empty()
    url = f"postgresql:///{name}"
    admin_url = postgres_server.admin_url(name)
    await shards.add("second", url, admin_url=admin_url)
    with pytest.raises(Conflict):
        await shards.add("second", f"postgresql:///{other}")
    with pytest.raises(Conflict):
        await shards.add("third", url)
    full = postgres_server.settings(name).url
    with pytest.raises(Conflict, match="shard second already"):
        await shards.add("third", full)
    for own in (home.url, new_database().url):
        with pytest.raises(Conflict, match="shard main already"):
            await shards.add("third", own)
    foreign = postgres_server.admin_url(other)
    await migrate(
        foreign, msgspec.structs.replace(home, url=postgres_server.settings(other).url), shard=7
    )
    admin = await asyncpg.connect(foreign)
    await admin.execute(
        "INSERT INTO crossdock.tenants (id, slug, name, shard) VALUES ($1, 's', 'n', 7)", ids.new()
    )
    await admin.close()
    with pytest.raises(Conflict, match="another installation"):
        await shards.add("third", f"postgresql:///{other}")


async def test_a_server_of_another_installation_keeps_its_passwords(
    shards: Shards, private_postgres: EmbeddedPostgres
) -> None:
    private_postgres.ensure_database("more")
    url = private_postgres.settings("more").url
    with pytest.raises(ConfigurationError, match="administrator"):
        await shards.add("second", url)
    with pytest.raises(ConfigurationError, match="another installation"):
        await shards.add("second", url, admin_url=private_postgres.admin_url("more"))
    still = await Databases.open(private_postgres.settings(), {"control"})
    async with still.control() as conn:
        assert await conn.fetchval("SELECT 1") == 1
    await still.close()


async def test_a_server_of_its_own_gets_our_roles_first(
    shards: Shards, private_folder: Path
) -> None:
    with EmbeddedPostgres(private_folder, tuning={"fsync": "off"}) as server:
        server.ensure_database("second")
        url = server.settings("second").url
        made = await shards.add("second", url, admin_url=server.admin_url("second"))
        assert (made.id, made.url) == (1, url)
        assert [facts.is_reachable for facts in await shards.all()] == [True, True]
        await asyncio.to_thread(server.stop)
        assert [facts.is_reachable for facts in await shards.all()] == [True, False]


async def test_new_tenants_go_where_the_fewest_live(
    databases: Databases,
    shards: Shards,
    empty: Callable[[], str],
    postgres_server: EmbeddedPostgres,
) -> None:
    for name in ("second", "third"):
        database = empty()
        await shards.add(
            name, f"postgresql:///{database}", admin_url=postgres_server.admin_url(database)
        )

    async def place(wanted: int | None = None) -> int:
        async with databases.control() as conn:
            shard = await shards.place(conn, wanted)
            await conn.execute(
                "INSERT INTO crossdock.placements (tenant_id, slug, name, shard)"
                " VALUES ($1, $1::uuid::text, 'n', $2)",
                ids.new(),
                shard,
            )
        return shard

    # The platform's own tenant lives on shard 0.
    assert [await place() for _ in range(5)] == [1, 2, 0, 1, 2]
    assert await place(2) == 2
    assert await shards.switch("second", "closed") == (await shards.all())[1].shard
    assert [await place() for _ in range(4)] == [0, 0, 2, 0]
    with pytest.raises(Conflict, match="no new tenants"):
        await place(1)
    with pytest.raises(NotFound):
        await place(9)
    with pytest.raises(NotFound):
        await shards.switch("ninth", "closed")
    await shards.switch("second", "open")
    assert await place() == 1
    for name in ("main", "second", "third"):
        await shards.switch(name, "closed")
    with pytest.raises(Conflict, match="add one"):
        await place()
    assert sum(facts.tenants for facts in await shards.all()) == 12


async def test_a_shard_that_is_away_is_shown_so(
    databases: Databases,
    shards: Shards,
    empty: Callable[[], str],
    postgres_server: EmbeddedPostgres,
) -> None:
    name = empty()
    await shards.add("second", f"postgresql:///{name}", admin_url=postgres_server.admin_url(name))
    await shards.all()
    postgres_server.drop_database(name)
    main, second = await shards.all()
    assert main.is_reachable
    assert not second.is_reachable
    assert second.problem is not None


def crossdock(settings: Settings, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "crossdock.cli.app", *words],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


async def test_the_command_line(
    settings: Settings,
    home: DatabaseSettings,
    empty: Callable[[], str],
    postgres_server: EmbeddedPostgres,
) -> None:
    name = empty()
    own = msgspec.structs.replace(settings, database=home)

    def call(*words: str) -> Any:
        done = crossdock(own, "shard", *words, "--json")
        assert done.returncode == 0, done.stderr
        return msgspec.json.decode(done.stdout)

    words = ("--url", f"postgresql:///{name}", "--admin-url", postgres_server.admin_url(name))
    for _ in range(2):
        made = call("add", "second", *words)
        assert (made["shard"], made["name"], made["state"]) == (1, "second", "open")
    listed = call("list")["items"]
    assert [(one["name"], one["tenants"], one["reachable"]) for one in listed] == [
        ("main", 1, True),
        ("second", 0, True),
    ]
    assert call("close", "second")["state"] == "closed"
    assert call("open", "second")["state"] == "open"
    shown = crossdock(own, "shard", "list")
    assert "second" in shown.stdout
    for wrong, code, says in (
        (("add", "third"), 2, "--url"),
        (("add", "third", "--url", "mysql://x/y"), 2, "postgresql://"),
        (("add", "Third", "--url", "postgresql:///x"), 1, "lower-case"),
        (("close", "third"), 1, "no shard third"),
    ):
        done = crossdock(own, "shard", *wrong)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert says in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
