"""Joining a transaction: what is done inside a tenant becomes part of one that is open already.

Whoever holds a tenant's transaction open lets a block join it: in that block, and in that very
task, entering the tenant again is no transaction of its own but a savepoint in this one. Work that
knows nothing of it does what it always does, and is committed or undone together with the rest. An
error undoes what its own block did, as it would have by itself; what blocks before it did stays.

Another task does not join, even one that was started inside: a connection has room for one
statement at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.db.failures import translating
from crossdock.db.tenant_pool import HURRIED, terminate


class Joined:
    """One task's open transaction inside a tenant."""

    def __init__(self, tenant_id: UUID, connection: AsyncConnection, raw: Any) -> None:
        self.tenant_id: Final = tenant_id
        self.task: Final = asyncio.current_task()
        self._connection = connection
        self._raw = raw
        self._depth = 0
        self._saved = 0
        """How many savepoints there are: one for each depth up to this."""

    @asynccontextmanager
    async def block(self) -> AsyncIterator[AsyncConnection]:
        """Give the transaction to a block; what that does is undone if it ends in an error.

        The savepoint of a block that ends well is released with the beginning of the next, or with
        the transaction: by itself that would be one more round trip. Blocks inside blocks have
        names of their own, so none is taken for another's.

        Raises:
            DatabaseUnavailable: the database is away.
        """
        self._depth += 1
        depth = self._depth
        try:
            with translating():
                await self._save(depth)
                try:
                    yield self._connection
                except BaseException as error:
                    await self._undo(depth, error)
                    raise
        finally:
            self._depth -= 1

    async def _save(self, depth: int) -> None:
        release = f"RELEASE SAVEPOINT block_{depth}; " if self._saved >= depth else ""
        await self._execute(f"{release}SAVEPOINT block_{depth}")
        self._saved = depth

    async def _undo(self, depth: int, error: BaseException) -> None:
        """Undo a block, or all of it where there is no time to ask a server that may be gone."""
        if isinstance(error, HURRIED):
            terminate(self._raw)
        elif not self._raw.is_closed():
            await self._execute(f"ROLLBACK TO SAVEPOINT block_{depth}")
            self._saved = depth

    async def _execute(self, statement: str) -> None:
        try:
            await self._raw.execute(statement)
        except HURRIED:
            terminate(self._raw)
            raise


_joined: Final[ContextVar[Joined | None]] = ContextVar("crossdock_joined", default=None)


@contextmanager
def joining(tenant_id: UUID, connection: AsyncConnection, raw: Any) -> Iterator[None]:
    """Let a block's work in a tenant join a transaction that this task holds open.

    Args:
        tenant_id: whose it is; work for another tenant does not join.
        connection: the transaction's, as those get it who enter the tenant.
        raw: the same as asyncpg has it.
    """
    token = _joined.set(Joined(tenant_id, connection, raw))
    try:
        yield
    finally:
        _joined.reset(token)


def joined(tenant_id: UUID) -> Joined | None:
    """Return the transaction that work in a tenant is to join, if there is one."""
    found = _joined.get()
    if found is None or found.tenant_id != tenant_id or found.task is not asyncio.current_task():
        return None
    return found
