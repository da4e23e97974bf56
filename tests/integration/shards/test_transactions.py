"""What a transaction was bound to does not outlive it, however it ends; without one, no rows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.db import Databases
from crossdock.errors import CrossdockError, DatabaseUnavailable
from tests.beds.shards import Town, resized, seen

SETTING = text("SELECT coalesce(current_setting('crossdock.tenant_id', true), '')")
ROWS = text("SELECT tenant_id FROM crossdock.api_keys")
RENAME = text("UPDATE crossdock.api_keys SET name = 'renamed'")
NAMES = "SELECT name FROM crossdock.api_keys WHERE tenant_id = $1"
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"


@pytest.fixture
async def narrow(town: Town) -> AsyncIterator[Databases]:
    """A process with one connection, so that everybody gets the same."""
    settings = resized(town.settings, pool_size=1)
    databases = await Databases.open(settings, {"app", "control"})
    yield databases
    await databases.close()


async def left(databases: Databases) -> tuple[str, list[Any]]:
    """Return what the one connection of the pool knows when nobody has entered anything."""
    app = databases.shard(0)._app
    assert app is not None
    async with app._engine.connect() as bare:
        setting = await bare.scalar(SETTING)
        assert setting is not None
        return setting, list((await bare.execute(ROWS)).scalars())


async def backend(conn: AsyncConnection) -> int:
    """Return which server process a connection talks to."""
    pid = await conn.scalar(text("SELECT pg_backend_pid()"))
    assert isinstance(pid, int)
    return pid


async def test_it_ends_with_a_commit_and_with_an_error(town: Town, narrow: Databases) -> None:
    own, other = await town.add(0), await town.add(0)
    async with narrow.tenant(own) as conn:
        first = await backend(conn)
        assert await conn.scalar(SETTING) == str(own)
    assert await left(narrow) == ("", [])
    with pytest.raises(ZeroDivisionError):
        await _fail(narrow, own)
    assert await left(narrow) == ("", [])
    async with narrow.tenant(other) as conn:
        assert await backend(conn) == first, "it was another connection"
        assert list((await conn.execute(ROWS)).scalars()) == [other]
    assert await town.admins[0].fetchval(NAMES, own) == "key"


async def _fail(databases: Databases, tenant: UUID) -> None:
    async with databases.tenant(tenant) as conn:
        await conn.execute(RENAME)
        raise ZeroDivisionError


async def test_it_ends_with_a_cancelled_request(town: Town, narrow: Databases) -> None:
    own, other = await town.add(0), await town.add(0)

    async def slow() -> None:
        async with narrow.tenant(own) as conn:
            await conn.execute(RENAME)
            await conn.execute(text("SELECT pg_sleep(60)"))

    request = asyncio.create_task(slow())
    async with asyncio.timeout(10):
        while not await town.admins[0].fetchval(WAITS):
            await asyncio.sleep(0.01)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert await left(narrow) == ("", [])
    assert await seen(narrow, other) == (0, {other})
    assert await town.admins[0].fetchval(NAMES, own) == "key"


async def test_it_does_not_outlive_it_on_a_connection_left_in_disorder(
    town: Town, narrow: Databases
) -> None:
    own, other = await town.add(0), await town.add(0)
    async with narrow.tenant(own) as conn:
        # What nobody should do: end our transaction, and begin one that nobody ends.
        await conn.execute(text("ROLLBACK"))
        await conn.execute(text("BEGIN"))
        await conn.execute(text(f"SELECT set_config('crossdock.tenant_id', '{own}', true)"))
    assert await left(narrow) == ("", [])
    app = narrow.shard(0)._app
    assert app is not None
    async with app._engine.connect() as bare:
        raw: Any = (await bare.get_raw_connection()).driver_connection
        await raw.execute(f"BEGIN; SELECT crossdock.enter('{own}')")
    assert await left(narrow) == ("", [])
    assert await seen(narrow, other) == (0, {other})


async def test_a_setting_of_the_session_gives_nobody_anothers_rows(
    town: Town, narrow: Databases
) -> None:
    own, other = await town.add(0), await town.add(0)
    async with narrow.tenant(own) as conn:
        await conn.execute(text(f"SELECT set_config('crossdock.tenant_id', '{own}', false)"))
    assert await seen(narrow, other) == (0, {other})


async def test_an_autocommit_connection_sees_nothing(town: Town, narrow: Databases) -> None:
    own = await town.add(0)
    app = narrow.shard(0)._app
    assert app is not None
    async with app._engine.connect() as bare:
        await bare.execute(text(f"SELECT crossdock.enter('{own}')"))
        assert list((await bare.execute(ROWS)).scalars()) == []
        assert await bare.scalar(SETTING) == ""


async def test_a_swallowed_error_is_no_success(town: Town, narrow: Databases) -> None:
    own = await town.add(0)

    async def swallow() -> None:
        async with narrow.tenant(own) as conn:
            await conn.execute(RENAME)
            with suppress(DBAPIError):
                await conn.execute(text("SELECT 1 / 0"))

    with pytest.raises(CrossdockError, match="undone"):
        await swallow()
    assert await town.admins[0].fetchval(NAMES, own) == "key"
    async with narrow.tenant(own) as conn, conn.begin_nested() as inner:
        await conn.execute(RENAME)
        await inner.rollback()
    assert await town.admins[0].fetchval(NAMES, own) == "key"


async def test_an_idle_transaction_that_the_server_ended_is_an_outage(
    town: Town, narrow: Databases
) -> None:
    own = await town.add(0)

    async def lose() -> None:
        async with narrow.tenant(own) as conn:
            await town.admins[0].execute("SELECT pg_terminate_backend($1)", await backend(conn))
            await conn.execute(ROWS)

    with pytest.raises(DatabaseUnavailable):
        await lose()
    assert await seen(narrow, own) == (0, {own})
