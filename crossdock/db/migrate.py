"""Bringing a database to the newest revision: from anywhere, by any number of processes at once."""

import asyncio
import time
from importlib.resources import files
from typing import Final

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.config import DatabaseSettings
from crossdock.db.control import CONTROL, settle_control
from crossdock.db.engine import engine_of
from crossdock.db.failures import translating
from crossdock.db.partitions import ensure_ahead
from crossdock.db.roles import ADVISORY_LOCK, ensure_roles, missing_roles, role_name
from crossdock.db.schema import SCHEMA
from crossdock.errors import ConfigurationError, DatabaseUnavailable

log = structlog.get_logger(__name__)

POLL_S: Final = 0.5
"""How often a database that is not up yet is asked again."""


def newest_revision() -> str:
    """Return the revision that this release needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # noqa: S101 - the package without its revisions cannot be built
    return head


async def migrate(
    admin_url: str | None,
    settings: DatabaseSettings,
    *,
    shard: int = 0,
    wait_s: float = 60.0,
) -> None:
    """Make the roles where an administrator is given, then bring the schema to the newest revision.

    Safe to call at any time and from many processes: one works, the others wait, and find it done.

    Args:
        admin_url: see `ensure_roles`; `None` where the roles are made by other means.
        settings: where the database is, and the owner's password.
        shard: which shard this database is; it can't be changed afterwards.
        wait_s: how long to wait for a database that isn't up yet.

    Raises:
        ConfigurationError: roles are missing, or this database is another shard's.
        DatabaseUnavailable: it did not come up in time.
    """
    await wait_for_server(admin_url or settings.url, settings, admin=bool(admin_url), wait_s=wait_s)
    if admin_url is not None:
        await ensure_roles(admin_url, settings)
    engine = engine_of(settings, "owner", size=1)
    try:
        with translating():
            async with engine.connect() as connection:
                await _upgrade(connection, shard)
    finally:
        await engine.dispose()
    await _first_partitions(settings)
    if shard == CONTROL:
        await settle_control(settings)


async def wait_for_server(
    url: str, settings: DatabaseSettings, *, admin: bool, wait_s: float
) -> None:
    """Wait until the server answers; say once that it is waited for.

    Raises:
        ConfigurationError: it answers, and refuses these credentials or has no such database.
        DatabaseUnavailable: it did not answer in time.
    """
    user = {} if admin else {"user": role_name("owner"), "password": settings.owner_password}
    deadline = time.monotonic() + wait_s
    said = False
    while True:
        try:
            connection = await asyncpg.connect(url, timeout=5, **user)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError) as error:
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"The database did not answer within {wait_s:.0f} s: {error}"
                ) from error
            if not said:
                log.warning("waiting_for_database", reason=str(error), seconds=wait_s)
                said = True
            await asyncio.sleep(POLL_S)
        except asyncpg.InvalidCatalogNameError as error:
            raise ConfigurationError(f"The database refuses us: {error}") from error
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            hint = "" if admin else " An administrator's address lets us make the roles."
            raise ConfigurationError(f"The database refuses us: {error}.{hint}") from error
        else:
            await connection.close()
            return


async def _upgrade(connection: AsyncConnection, shard: int) -> None:
    raw = (await connection.get_raw_connection()).driver_connection
    assert raw is not None  # noqa: S101 - an open connection has one
    absent = await missing_roles(raw)
    if absent:
        raise ConfigurationError(
            f"The database lacks the roles {', '.join(absent)}: run `crossdock migrate` once with"
            " an administrator's address, or create them as docs/operating.md says."
        )
    await raw.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
    try:
        await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        await connection.commit()
        await connection.run_sync(_run)
        await connection.commit()
        await _settle(connection, shard)
    finally:
        if not raw.is_closed():
            await connection.rollback()
            await raw.execute("SELECT pg_advisory_unlock($1)", ADVISORY_LOCK)


def _run(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    return config


async def _settle(connection: AsyncConnection, shard: int) -> None:
    """Write down which shard this database is, once."""
    await connection.execute(
        text("INSERT INTO crossdock.home (shard) VALUES (:shard) ON CONFLICT DO NOTHING"),
        {"shard": shard},
    )
    found = await connection.scalar(text("SELECT shard FROM crossdock.home"))
    await connection.commit()
    if found != shard:
        raise ConfigurationError(f"This database is shard {found}, not {shard}.")


async def _first_partitions(settings: DatabaseSettings) -> None:
    """Make the partitions of the coming days, so that a fresh database is ready to take events."""
    engine = engine_of(settings, "maintenance", size=1)
    try:
        with translating():
            async with engine.connect() as connection:
                raw = (await connection.get_raw_connection()).driver_connection
                assert raw is not None  # noqa: S101 - an open connection has one
                await ensure_ahead(raw)
    finally:
        await engine.dispose()
