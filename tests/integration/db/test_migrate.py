"""Migrating: from anywhere, as often as one likes, by any number of processes at once."""

import asyncio
import base64
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import structlog
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection

import crossdock.db.migrate as migrations
from crossdock import ids
from crossdock.config import DatabaseSettings
from crossdock.db.engine import engine_of
from crossdock.db.migrate import migrate, newest_revision
from crossdock.db.partitions import PARENTS
from crossdock.db.roles import ensure_roles, missing_roles, scram_verifier
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import ConfigurationError, DatabaseUnavailable
from crossdock.schema import metadata

Empty = tuple[str, DatabaseSettings]


@pytest.fixture
async def empty(
    postgres_server: EmbeddedPostgres, request: pytest.FixtureRequest
) -> AsyncIterator[Empty]:
    """The administrator's address of an empty database, and its settings."""
    name = f"empty_{abs(hash(request.node.name)) % 10**8}"
    await asyncio.to_thread(postgres_server.ensure_database, name)
    yield postgres_server.admin_url(name), postgres_server.settings(name)
    await asyncio.to_thread(postgres_server.drop_database, name)


async def test_the_tables_are_those_of_the_metadata(fresh_database: DatabaseSettings) -> None:
    partitions = tuple(f"{parent}_" for parent in PARENTS)

    def is_ours(name: str | None, kind: str, _names: Any) -> bool:
        if kind == "schema":
            return name == "crossdock"
        return kind != "table" or not (name or "").startswith(partitions)

    def differences(connection: Connection) -> list[Any]:
        options = {
            "include_schemas": True,
            "include_name": is_ours,
            "version_table_schema": "crossdock",
            "compare_type": True,
            "compare_server_default": True,
        }
        context = MigrationContext.configure(connection, opts=options)
        found: list[Any] = compare_metadata(context, metadata)
        return found

    engine = engine_of(fresh_database, "owner", size=1)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_migrating_again_changes_nothing_and_many_may_do_it_at_once(empty: Empty) -> None:
    admin, settings = empty
    await asyncio.gather(*(migrate(admin, settings) for _ in range(4)))
    await migrate(None, settings)
    connection = await asyncpg.connect(admin)
    try:
        versions = await connection.fetch("SELECT version_num FROM crossdock.alembic_version")
        assert [row[0] for row in versions] == [newest_revision()]
        assert await connection.fetchval("SELECT count(*) FROM crossdock.home") == 1
        ahead = "SELECT count(*) FROM crossdock.partitions('events') WHERE high > $1"
        now = await connection.fetchval("SELECT crossdock.uuid7_floor(now())")
        assert await connection.fetchval(ahead, now) >= 8
    finally:
        await connection.close()


async def test_0005_fills_its_columns_though_policies_hide_all_rows_from_the_owner(
    empty: Empty, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, settings = empty

    def up_to_0004(connection: Connection) -> None:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")

    with monkeypatch.context() as patched:
        patched.setattr(migrations, "_run", up_to_0004)
        await migrate(admin, settings)
    tenant = ids.new()
    connection = await asyncpg.connect(admin)
    try:
        await connection.execute(
            "INSERT INTO crossdock.tenants (id, slug, name) VALUES ($1, 'acme', 'Acme')", tenant
        )
        for name, state in (("on", "enabled"), ("off", "disabled")):
            await connection.execute(
                "INSERT INTO crossdock.destinations (tenant_id, id, name, url, state, updated_at)"
                " VALUES ($1, $2, $3, 'https://example.com/', $4, '2026-01-01')",
                *(tenant, ids.new(), name, state),
            )
        await connection.execute(
            "INSERT INTO crossdock.alerts (tenant_id, id, kind, subject, level, created_at)"
            " VALUES ($1, $2, 'quota', 'users', 80, '2026-01-01')",
            *(tenant, ids.new()),
        )
        await migrate(admin, settings)
        told = "SELECT told_at = created_at AND resolved_told_at IS NULL FROM crossdock.alerts"
        assert await connection.fetchval(told), "not told again"
        rows = await connection.fetch(
            "SELECT state, disabled_at = updated_at FROM crossdock.destinations"
        )
        assert dict(map(tuple, rows)) == {"enabled": None, "disabled": True}
    finally:
        await connection.close()


async def test_a_database_belongs_to_one_shard(empty: Empty) -> None:
    await migrate(*empty, shard=3)
    with pytest.raises(ConfigurationError, match="shard 3"):
        await migrate(*empty, shard=4)


async def test_missing_roles_are_named(empty: Empty, monkeypatch: pytest.MonkeyPatch) -> None:
    await ensure_roles(*empty)

    async def some_missing(_connection: object) -> list[str]:
        return ["crossdock_app", "crossdock_ingest"]

    monkeypatch.setattr("crossdock.db.migrate.missing_roles", some_missing)
    with pytest.raises(ConfigurationError, match="crossdock_app, crossdock_ingest"):
        await migrate(None, empty[1])


async def test_roles_are_looked_up_by_name(empty: Empty) -> None:
    connection = await asyncpg.connect(empty[0])
    try:
        await ensure_roles(*empty)
        assert await missing_roles(connection) == []
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("ALTER ROLE crossdock_directory RENAME TO somebody")
        assert await missing_roles(connection) == ["crossdock_directory"]
        await transaction.rollback()
    finally:
        await connection.close()


async def test_a_role_without_the_right_cannot_make_roles(empty: Empty) -> None:
    admin, settings = empty
    await ensure_roles(admin, settings)
    weak = admin.replace("postgres:", "crossdock_owner:", 1).split("@")
    password = settings.owner_password or ""
    with pytest.raises(ConfigurationError, match="may not prepare its roles"):
        await ensure_roles(f"postgresql://crossdock_owner:{password}@{weak[1]}", settings)


@pytest.mark.parametrize("wrong", ["password", "database"])
async def test_wrong_credentials_are_said_at_once(empty: Empty, wrong: str) -> None:
    admin, settings = empty
    await migrate(admin, settings)
    if wrong == "password":
        settings = msgspec.structs.replace(settings, owner_password="wrong")
    else:
        settings = msgspec.structs.replace(settings, url=f"{settings.url}_that_is_not")
    with pytest.raises(ConfigurationError, match="refuses us"):
        await migrate(None, settings, wait_s=30.0)


async def test_a_database_that_is_away_is_waited_for_and_that_is_said_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settings = DatabaseSettings(url=f"postgresql://127.0.0.1:{taken.getsockname()[1]}/x")
        with (
            structlog.testing.capture_logs() as logs,
            pytest.raises(DatabaseUnavailable, match="did not answer within"),
        ):
            await migrate(None, settings, wait_s=1.2)
    assert [entry["event"] for entry in logs] == ["waiting_for_database"]


async def test_migrating_begins_as_soon_as_the_server_answers(
    private_folder: Any, make_server: Callable[[Any], EmbeddedPostgres]
) -> None:
    server = make_server(private_folder)
    server.start()
    server.ensure_database()
    admin, settings = server.admin_url(), server.settings()
    server.stop()
    waiting = asyncio.create_task(migrate(admin, settings))
    await asyncio.to_thread(server.start)
    await asyncio.wait_for(waiting, 30)
    await asyncio.to_thread(server.stop)


@pytest.fixture
def make_server() -> Callable[[Any], EmbeddedPostgres]:
    """Make a server that is quick to start."""
    return lambda folder: EmbeddedPostgres(folder, tuning={"fsync": "off"})


async def test_a_migration_gives_up_rather_than_queue_for_a_lock(
    empty: Empty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(*empty)
    history = tmp_path / "migrations"
    shutil.copytree(files("migrations"), history)  # type: ignore[arg-type]
    environment = history / "env.py"
    environment.write_text(environment.read_text().replace('"5s"', '"300ms"'))
    (history / "versions" / "9999_next.py").write_text(NEXT.format(newest=newest_revision()))
    config = Config()
    config.set_main_option("script_location", str(history))
    monkeypatch.setattr("crossdock.db.migrate._config", lambda: config)
    blocker = await asyncpg.connect(empty[0])
    try:
        await blocker.execute("BEGIN; LOCK TABLE crossdock.tenants IN ACCESS SHARE MODE")
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            await migrate(None, empty[1])
        await blocker.execute("ROLLBACK")
        await migrate(None, empty[1])
        version = "SELECT version_num FROM crossdock.alembic_version"
        assert await blocker.fetchval(version) == "9999"
    finally:
        await blocker.close()


NEXT = """
from alembic import op
revision = "9999"
down_revision = "{newest}"
branch_labels = None
depends_on = None
def upgrade() -> None:
    op.execute("ALTER TABLE crossdock.tenants ADD COLUMN next integer")
"""


def test_a_verifier_is_the_one_the_server_makes() -> None:
    # RFC 7677's example: user "user", password "pencil".
    made = scram_verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    assert made == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
