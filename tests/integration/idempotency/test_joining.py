"""Work that joins a transaction is a part of it, and otherwise what it was."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from crossdock.db import Databases
from crossdock.db.joining import joining
from crossdock.db.tenant_pool import raw_of
from crossdock.errors import Conflict, DatabaseUnavailable
from tests.beds.world import World, tenant
from tests.integration.idempotency.conftest import MAKE, Bed

PID = text("SELECT pg_backend_pid()")


async def test_work_that_joins_is_seen_when_all_is_committed(bed: Bed) -> None:
    async with bed.databases.tenant(bed.tenant_id) as conn:
        with joining(bed.tenant_id, conn, await raw_of(conn)):
            await bed.make("one")
            await bed.make("two")
        assert await bed.made("one") == 0
    assert await bed.made("one") == await bed.made("two") == 1


async def test_work_that_joined_is_undone_with_the_rest(bed: Bed) -> None:
    async def work() -> None:
        async with bed.databases.tenant(bed.tenant_id) as conn:
            with joining(bed.tenant_id, conn, await raw_of(conn)):
                await bed.make("lost")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert await bed.made("lost") == 0


async def test_an_error_undoes_its_own_block_and_no_other(bed: Bed) -> None:
    async def refused() -> None:
        async with bed.databases.tenant(bed.tenant_id):
            await bed.make("inside")
            raise Conflict

    async with bed.databases.tenant(bed.tenant_id) as conn:
        with joining(bed.tenant_id, conn, await raw_of(conn)):
            await bed.make("before")
            with pytest.raises(Conflict):
                await refused()
            await bed.make("after")
    assert await bed.made("inside") == 0
    assert await bed.made("before") == await bed.made("after") == 1


async def test_a_failed_statement_undoes_its_own_block_and_no_other(bed: Bed) -> None:
    async with bed.databases.tenant(bed.tenant_id) as conn:
        with joining(bed.tenant_id, conn, await raw_of(conn)):
            await bed.make("twice")
            with pytest.raises(DBAPIError):
                await bed.make("twice")
            await bed.make("then")
    assert await bed.made("twice") == await bed.made("then") == 1


async def test_an_inner_blocks_savepoint_is_not_taken_for_the_outers(bed: Bed) -> None:
    async def outer() -> None:
        async with bed.databases.tenant(bed.tenant_id) as conn:
            await conn.execute(MAKE, {"tenant": bed.tenant_id, "name": "in the outer one"})
            await bed.make("in the inner one")
            raise Conflict

    async with bed.databases.tenant(bed.tenant_id) as conn:
        with joining(bed.tenant_id, conn, await raw_of(conn)), pytest.raises(Conflict):
            await outer()
        await bed.make("after both")
    assert await bed.made("in the outer one") == await bed.made("in the inner one") == 0
    assert await bed.made("after both") == 1


async def test_only_this_task_and_this_tenant_join(bed: Bed, world: World) -> None:
    other = tenant()
    await world.add(other)

    async def pid(tenant_id: object = None) -> int:
        async with bed.databases.tenant(other.id if tenant_id else bed.tenant_id) as conn:
            found: int = await conn.scalar(PID)
            return found

    async with bed.databases.tenant(bed.tenant_id) as conn:
        raw = await raw_of(conn)
        here = await conn.scalar(PID)
        with joining(bed.tenant_id, conn, raw):
            assert await pid() == here
            assert await asyncio.create_task(pid()) != here
            assert await pid(other.id) != here
        assert await pid() != here


async def test_a_cancelled_block_commits_nothing_at_all(bed: Bed) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        async with bed.databases.tenant(bed.tenant_id) as conn:
            with joining(bed.tenant_id, conn, await raw_of(conn)):
                await bed.make("cut off")
                async with bed.databases.tenant(bed.tenant_id) as inner:
                    entered.set()
                    await inner.execute(text("SELECT pg_sleep(30)"))

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await bed.made("cut off") == 0
    await bed.make("cut off")  # nobody holds anything any more


async def test_a_swallowed_timeout_commits_nothing_either(bed: Bed) -> None:
    async def hurried() -> None:
        async with asyncio.timeout(0.05), bed.databases.tenant(bed.tenant_id) as inner:
            await inner.execute(text("SELECT pg_sleep(30)"))

    async def work() -> None:
        async with bed.databases.tenant(bed.tenant_id) as conn:
            with joining(bed.tenant_id, conn, await raw_of(conn)):
                await bed.make("before the timeout")
                with pytest.raises(TimeoutError):
                    await hurried()

    with pytest.raises(DatabaseUnavailable):
        await work()
    assert await bed.made("before the timeout") == 0


async def test_a_swallowed_error_inside_a_block_commits_nothing(bed: Bed) -> None:
    async def work() -> None:
        async with bed.databases.tenant(bed.tenant_id) as conn:
            with joining(bed.tenant_id, conn, await raw_of(conn)):
                await bed.make("good")
                async with bed.databases.tenant(bed.tenant_id) as inner:
                    with pytest.raises(DBAPIError):
                        await inner.execute(text("SELECT 1 / 0"))

    with pytest.raises(Exception, match="swallowed"):
        await work()
    assert await bed.made("good") == 0


async def test_a_connection_goes_back_clean(bed: Bed, databases: Databases) -> None:
    async with databases.tenant(bed.tenant_id) as conn:
        with joining(bed.tenant_id, conn, await raw_of(conn)):
            await bed.make("x")
    async with databases.tenant(bed.tenant_id) as conn:
        raw = await raw_of(conn)
        with pytest.raises(DBAPIError):
            await conn.execute(text("ROLLBACK TO SAVEPOINT block_1"))
        assert raw.is_in_transaction()
        await raw.execute("ROLLBACK; BEGIN")
