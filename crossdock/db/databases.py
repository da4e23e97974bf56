"""All shards of an installation, and the way from a tenant to its own.

Shard 0 is where the settings say. It is the control database, too: it knows the other shards and
which tenant lives where. An installation of one shard asks it nothing of the kind, except for those
that know most tenants by heart: of the others most are somebody's invention, and to enter one would
be an error in the server's log each time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from contextvars import Context
from typing import Final, Literal, Self, TypeVar
from uuid import UUID

import asyncpg
import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock import context
from crossdock.config import DatabaseRole, DatabaseSettings
from crossdock.db.address import resolve
from crossdock.db.control import CONTROL
from crossdock.db.database import Database
from crossdock.db.dedicated_pools import DedicatedPools
from crossdock.db.failures import NotHere, RoleRefused
from crossdock.db.joining import joined
from crossdock.db.placements import Listing, Placement, Placements, read_shards
from crossdock.errors import ConfigurationError, DatabaseUnavailable

REFRESH_S: Final = 3.0
"""How old the list of shards, and of the dedicated tier, may be before it is read again."""

AGAIN_S: Final = 1.0
"""How old it may be where a tenant was not found by it."""


Placed = Callable[[UUID], int | None]
"""Tells from memory on which shard a tenant lives; `None` where it does not know."""

_READERS: Final[tuple[Literal["control", "directory", "maintenance"], ...]] = (
    "control",
    "directory",
    "maintenance",
)

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Databases:
    """The databases of all shards. Each is opened when it is first heard of, for the same roles."""

    def __init__(
        self,
        home: Database,
        roles: Collection[DatabaseRole],
        reader: DatabaseRole,
        *,
        placed: Placed | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with shard 0; see `open`."""
        self._home = home
        self._roles = frozenset(roles)
        self._reader = reader
        self._placed = placed
        self._monotonic = monotonic
        self._open = {CONTROL: home}
        self._listed: Listing | None = None
        self._listed_at = self._asked_at = float("-inf")
        self._listing: asyncio.Task[None] | None = None
        self._placements = Placements(lambda: home.transaction(reader))
        self._dedicated = DedicatedPools(home.settings)

    @classmethod
    async def open(
        cls,
        settings: DatabaseSettings,
        roles: Collection[DatabaseRole],
        *,
        placed: Placed | None = None,
    ) -> Self:
        """Return the databases for these roles. They may be away: nothing connects yet.

        Args:
            settings: where shard 0 is; the others have the same roles with the same passwords.
            roles: what this process does. One of them must be able to read where tenants live.
            placed: see `Placed`; it saves most look-ups.

        Raises:
            ConfigurationError: none of the roles can read where tenants live.
        """
        reader = next((role for role in _READERS if role in roles), None)
        if reader is None:
            raise ConfigurationError(
                f"One of the roles {', '.join(_READERS)} is needed to find tenants' shards."
            )
        return cls(await Database.open(settings, roles), roles, reader, placed=placed)

    async def close(self) -> None:
        """Close all connections; what is running is rolled back."""
        if self._listing is not None:
            self._listing.cancel()
            await asyncio.wait({self._listing})
        await self._placements.close()
        await self._dedicated.close()
        for database in self._open.values():
            await database.close()

    @asynccontextmanager
    async def tenant(self, tenant_id: UUID) -> AsyncIterator[AsyncConnection]:
        """Enter a tenant, wherever it lives: a transaction that sees its rows and no others.

        Inside a block that joins one (`crossdock.db.joining`), it is a part of that.

        Raises:
            NotFound: there is no such tenant.
            PoolExhausted: the tenant waited too long for one of its connections.
            DatabaseUnavailable: its shard is away.
            TenantMismatch: this is the work of another tenant.
        """
        context.check(tenant_id)
        if (open_already := joined(tenant_id)) is not None:
            async with open_already.block() as connection:
                yield connection
            return

        def door(placement: Placement) -> AbstractAsyncContextManager[AsyncConnection]:
            database = self.shard(placement.shard)
            if placement.is_dedicated and "app" in self._roles:
                return self._dedicated.enter(database, tenant_id)
            return database.tenant(tenant_id)

        async with AsyncExitStack() as stack:
            yield await self._enter(stack, tenant_id, door)

    @asynccontextmanager
    async def operator(self, tenant_id: UUID) -> AsyncIterator[asyncpg.Connection]:
        """Enter one tenant as an operator, wherever it lives; see `Database.operator`.

        Raises:
            NotFound: there is no such tenant.
            DatabaseUnavailable: its shard is away.
        """

        def door(placement: Placement) -> AbstractAsyncContextManager[asyncpg.Connection]:
            return self.shard(placement.shard).operator(tenant_id)

        async with AsyncExitStack() as stack:
            yield await self._enter(stack, tenant_id, door)

    def control(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """Begin a transaction on the control tables."""
        return self._home.control()

    async def shard_of(self, tenant_id: UUID) -> Database:
        """Return the database of a tenant's shard, as far as is known without entering it.

        Raises:
            NotFound: there is no such tenant.
            DatabaseUnavailable: the control database is away, and the answer not in memory.
        """
        return self.shard((await self._place(tenant_id)).shard)

    def shard(self, number: int) -> Database:
        """Return a shard's database.

        Raises:
            DatabaseUnavailable: this process has not heard of that shard, or not yet.
        """
        found = self._open.get(number)
        if found is None:
            raise DatabaseUnavailable(f"Shard {number} is not known here.")
        return found

    async def shards(self) -> Mapping[int, Database]:
        """Return all shards by number, read again if that was more than some seconds ago.

        Raises:
            DatabaseUnavailable: the control database is away, and was since the start.
        """
        if self._age_s() > REFRESH_S:
            try:
                await self._list()
            except DatabaseUnavailable:
                if self._listed is None:
                    raise
        return dict(self._open)

    async def _enter(
        self,
        stack: AsyncExitStack,
        tenant_id: UUID,
        door: Callable[[Placement], AbstractAsyncContextManager[T]],
    ) -> T:
        """Enter by the door of a tenant's placement; if it is not there, look once more."""
        placement = await self._place(tenant_id)
        try:
            return await stack.enter_async_context(door(placement))
        except (NotHere, RoleRefused) as error:
            age_s = 0.0 if isinstance(error, RoleRefused) else AGAIN_S
            better = await self._place_anew(tenant_id, age_s)
            if better is None or better == placement:
                raise
        return await stack.enter_async_context(door(better))

    async def _place(self, tenant_id: UUID) -> Placement:
        """Return where a tenant lives: from memory, or else by the control database's word."""
        listed = await self._current()
        is_dedicated = tenant_id in listed.dedicated
        shard = self._placed(tenant_id) if self._placed is not None else None
        if shard is None and not listed.urls and self._placed is None:
            shard = CONTROL
        if shard is not None:
            if shard not in self._open:
                await self._list()
            return Placement(shard, is_dedicated)
        found = self._placements.known(tenant_id) or await self._placements.look_up(tenant_id)
        if found is None:
            raise NotHere
        return Placement(found.shard, is_dedicated)

    async def _place_anew(self, tenant_id: UUID, age_s: float) -> Placement | None:
        """Return where a tenant lives by the control database's word of this moment."""
        if self._age_s() > age_s:
            await self._list()
        listed = await self._current()
        if not listed.urls:
            return Placement(CONTROL, tenant_id in listed.dedicated)
        return await self._placements.look_up(tenant_id)

    def _age_s(self) -> float:
        return self._monotonic() - self._listed_at

    async def _current(self) -> Listing:
        """Return the list of shards; an old one while a newer one is on its way."""
        if self._listed is None:
            await self._list()
        elif self._age_s() > REFRESH_S and self._monotonic() - self._asked_at > AGAIN_S:
            self._start_listing()
        assert self._listed is not None  # noqa: S101 - `_list` has read it, or raised
        return self._listed

    async def _list(self) -> None:
        """Read the list of shards now, or wait for whoever does."""
        await asyncio.shield(self._start_listing())

    def _start_listing(self) -> "asyncio.Task[None]":
        if self._listing is None:
            self._asked_at = self._monotonic()
            # Whoever is first to need it, it is nobody's work in particular.
            self._listing = asyncio.create_task(self._read(), context=Context())
            self._listing.add_done_callback(self._listing_ended)
        return self._listing

    def _listing_ended(self, task: "asyncio.Task[None]") -> None:
        self._listing = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("shards_not_read", reason=str(error), age_s=round(self._age_s(), 1))

    async def _read(self) -> None:
        async with self._home.transaction(self._reader) as connection:
            listed = await read_shards(connection)
        home = self._home.settings
        for number, url in listed.urls.items():
            if number not in self._open:
                settings = msgspec.structs.replace(home, url=resolve(url, home.url))
                self._open[number] = await Database.open(settings, self._roles, number=number)
        self._listed, self._listed_at = listed, self._monotonic()
