"""Where tenants live, as shard 0 has it written down: read in bunches, remembered within bounds."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

REMEMBERED: Final = 50_000
"""Tenants whose place a process keeps in memory; the one least recently used goes first."""

Reading = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]
"""Begins a transaction of a role that may read the control tables."""


class Placement(msgspec.Struct, frozen=True):
    """Where a tenant's rows are, and by which connections one gets at them."""

    shard: int
    is_dedicated: bool = False


class Listing(msgspec.Struct, frozen=True):
    """All shards but the first, and who has connections of their own."""

    urls: dict[int, str] = {}
    dedicated: frozenset[UUID] = frozenset()


async def read_shards(connection: asyncpg.Connection) -> Listing:
    """Return the shards beside shard 0, and the tenants of the dedicated tier."""
    shards = await connection.fetch("SELECT id, url FROM crossdock.shards WHERE id <> 0")
    dedicated = await connection.fetch(
        "SELECT tenant_id FROM crossdock.placements WHERE tier = 'dedicated'"
    )
    return Listing(
        {row["id"]: row["url"] for row in shards}, frozenset(row["tenant_id"] for row in dedicated)
    )


async def read_placements(
    connection: asyncpg.Connection, tenant_ids: list[UUID]
) -> dict[UUID, Placement]:
    """Return where these tenants live; those that are nowhere are left out."""
    rows = await connection.fetch(
        "SELECT tenant_id, shard, tier = 'dedicated' AS is_dedicated"
        " FROM crossdock.placements WHERE tenant_id = ANY ($1)",
        tenant_ids,
    )
    return {row["tenant_id"]: Placement(row["shard"], row["is_dedicated"]) for row in rows}


class Placements:
    """Looks placements up: those asked for while a look-up is under way share the next one.

    So, however many ask, they take one connection of the control database.
    """

    def __init__(self, reading: Reading, *, remembered: int = REMEMBERED) -> None:
        self._reading = reading
        self._size = remembered
        self._known: OrderedDict[UUID, Placement] = OrderedDict()
        self._asked: dict[UUID, asyncio.Future[Placement | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    def known(self, tenant_id: UUID) -> Placement | None:
        """Return what is remembered of a tenant."""
        found = self._known.get(tenant_id)
        if found is not None:
            self._known.move_to_end(tenant_id)
        return found

    async def look_up(self, tenant_id: UUID) -> Placement | None:
        """Return where a tenant lives by the control database's word; `None` for nowhere.

        Raises:
            DatabaseUnavailable: the control database is away.
        """
        future = self._asked.get(tenant_id)
        if future is None:
            future = self._asked[tenant_id] = asyncio.get_running_loop().create_future()
        if self._asking is None:
            # Whoever asks first, the answers are for all: it is nobody's work in particular.
            self._asking = asyncio.create_task(self._ask(), context=Context())
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Stop looking; who waits for an answer is cancelled."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _ask(self) -> None:
        bunch: dict[UUID, asyncio.Future[Placement | None]] = {}
        try:
            while self._asked:
                bunch, self._asked = self._asked, {}
                await self._answer(bunch)
        finally:
            self._asking = None
            for future in (*bunch.values(), *self._asked.values()):
                future.cancel()
            self._asked = {}

    async def _answer(self, bunch: dict[UUID, "asyncio.Future[Placement | None]"]) -> None:
        try:
            async with self._reading() as connection:
                found = await read_placements(connection, list(bunch))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the askers' to hear
            for future in bunch.values():
                future.set_exception(error)
                future.exception()  # an asker that was cancelled does not hear it
            return
        for tenant_id, future in bunch.items():
            placement = found.get(tenant_id)
            self._remember(tenant_id, placement)
            future.set_result(placement)

    def _remember(self, tenant_id: UUID, placement: Placement | None) -> None:
        self._known.pop(tenant_id, None)
        if placement is None:
            return
        self._known[tenant_id] = placement
        if len(self._known) > self._size:
            self._known.popitem(last=False)
