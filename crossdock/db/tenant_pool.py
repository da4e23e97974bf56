"""Connections whose transactions begin inside a tenant: the one way to a tenant's rows.

Statements are SQLAlchemy's, the transaction is ours: it begins and enters its tenant in one message
to the server, so that there is no moment, and no round trip, between the two.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from crossdock.db.budget import Budget
from crossdock.db.failures import translating
from crossdock.db.silence import Silence
from crossdock.errors import CrossdockError

ENTER_TIMEOUT_S: Final = 5.0
"""A server that has stopped keeps its connections open and answers nothing."""

HURRIED: Final = (asyncio.CancelledError, TimeoutError)
"""Out of time or shutting down: a server that has stopped would not answer a ROLLBACK."""

LOST_WORK: Final = "A statement failed, its error was swallowed, and so the transaction was undone."


def entering(tenant_id: UUID) -> str:
    """Return the statements that begin a transaction inside a tenant, in one round trip.

    Only the simple protocol takes two statements at once, so the text is written out: by `hex`, so
    that it holds nothing but digits. A UUID without its dashes is one, too.
    """
    return f"BEGIN; SELECT crossdock.enter('{tenant_id.bytes.hex()}')"


class TenantPool:
    """A pool, and how tenants share it.

    Its engine is in SQLAlchemy's mode AUTOCOMMIT, in which SQLAlchemy neither begins nor ends
    transactions.
    """

    def __init__(self, engine: AsyncEngine, budget: Budget) -> None:
        self._engine = engine
        self._budget = budget
        self._silence = Silence()
        event.listen(engine.sync_engine, "checkin", _leave_nothing_open)

    async def close(self) -> None:
        """Close the connections that nobody uses; the others when they are given back."""
        await self._engine.dispose()

    @asynccontextmanager
    async def enter(self, tenant_id: UUID) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction inside a tenant; commit at a clean exit.

        Raises:
            NotHere: there is no such tenant on this shard.
            PoolExhausted: the tenant waited too long for one of its connections.
            DatabaseUnavailable: the database is away.
        """
        with translating():
            self._silence.check()
            async with self._budget.slot(tenant_id), AsyncExitStack() as stack:
                with self._silence.listening():
                    connection = await stack.enter_async_context(self._engine.connect())
                    raw = await raw_of(connection)
                    stack.push_async_exit(_ending(raw))
                    await raw.execute(entering(tenant_id), timeout=ENTER_TIMEOUT_S)
                yield connection


def _ending(raw: asyncpg.Connection) -> Callable[[Any, BaseException | None, Any], Awaitable[None]]:
    """Return what ends a transaction by the way its block ended."""

    async def end(_kind: Any, error: BaseException | None, _traceback: Any) -> None:
        try:
            if error is None:
                await _commit(raw)
            elif isinstance(error, HURRIED):
                terminate(raw)
            elif not raw.is_closed():
                await raw.execute("ROLLBACK")
        except HURRIED:
            terminate(raw)
            raise

    return end


async def raw_of(connection: AsyncConnection) -> asyncpg.Connection:
    """Return the same connection as asyncpg has it."""
    return (await connection.get_raw_connection()).driver_connection


def terminate(raw: asyncpg.Connection) -> None:
    """Cut a connection: its transaction is undone by the server, whenever that gets to it."""
    with suppress(asyncpg.InterfaceError):  # it was lost already
        raw.terminate()


async def _commit(raw: asyncpg.Connection) -> None:
    if await raw.execute("COMMIT") != "COMMIT":  # the server's word for what it did instead
        raise CrossdockError(LOST_WORK)


def _leave_nothing_open(connection: Any, _record: ConnectionPoolEntry) -> None:
    """Let no transaction, and so no tenant, go back to the pool with its connection."""
    raw = None if connection is None else connection.driver_connection
    if raw is not None and not raw.is_closed() and raw.is_in_transaction():
        raw.terminate()
