"""The database as a process sees it: rows of a tenant, of a batch's tenants, or of one named duty.

There is no other way in. A tenant's rows are reached by entering it; nobody commits but the edge of
these context managers; an outage is `DatabaseUnavailable` whoever noticed it first.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal, Self
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock import context
from crossdock.config import DatabaseRole, DatabaseSettings
from crossdock.db.budget import Budget
from crossdock.db.engine import ACQUIRE_TIMEOUT_S, connecting, engine_of, pool_of
from crossdock.db.failures import translating
from crossdock.db.tenant_pool import TenantPool, entering
from crossdock.errors import ConfigurationError

_POOLS: Final = frozenset(
    {
        "ingest",
        "dispatch",
        "maintenance",
        "directory",
        "control",
        "operator",
    }
)


class Database:
    """Pools of connections, one for each role that a process uses; they connect when first used.

    Tenants' rows come through SQLAlchemy, which composes statements from what a caller asks for.
    The other duties have a few fixed statements each, and go to asyncpg directly.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        number: int,
        app: TenantPool | None,
        pools: dict[str, asyncpg.Pool],
    ) -> None:
        self.settings: Final = settings
        self.number: Final = number
        """Which shard it is."""
        self._app = app
        self._pools = pools

    @classmethod
    async def open(
        cls, settings: DatabaseSettings, roles: Collection[DatabaseRole], *, number: int = 0
    ) -> Self:
        """Return a shard's database for these roles. It may be away: nothing connects yet."""
        app = _shared_pool(settings, number) if "app" in roles else None
        pools: dict[str, asyncpg.Pool] = {
            role: await pool_of(settings, role) for role in roles if role in _POOLS
        }
        return cls(settings, number, app, pools)

    async def close(self) -> None:
        """Close all connections; what is running is rolled back."""
        if self._app is not None:
            await self._app.close()
        for pool in self._pools.values():
            pool.terminate()

    @asynccontextmanager
    async def tenant(self, tenant_id: UUID) -> AsyncIterator[AsyncConnection]:
        """Enter a tenant: one transaction that sees its rows and no others.

        Raises:
            NotFound: there is no such tenant on this shard.
            PoolExhausted: the tenant waited too long for one of its connections.
            DatabaseUnavailable: the database is away.
            TenantMismatch: this is the work of another tenant.
        """
        context.check(tenant_id)
        if self._app is None:
            raise _unopened("app")
        async with self._app.enter(tenant_id) as connection:
            yield connection

    @asynccontextmanager
    async def operator(self, tenant_id: UUID) -> AsyncIterator[asyncpg.Connection]:
        """Enter one tenant as an operator: a transaction that may change how it is kept.

        Raises:
            NotFound: there is no such tenant on this shard.
            DatabaseUnavailable: the database is away.
        """
        async with self.transaction("operator", entering(tenant_id)) as connection:
            yield connection

    @asynccontextmanager
    async def founding(self, tenant_id: UUID) -> AsyncIterator[asyncpg.Connection]:
        """Enter a tenant as an operator who makes it: it need not be there yet.

        Raises:
            NotFound: it is another shard's.
            DatabaseUnavailable: the database is away.
        """
        # As `entering` does it: by `hex`, so that the text holds nothing but digits.
        begin = f"BEGIN; SELECT crossdock.enter_new('{tenant_id.bytes.hex()}')"
        async with self.transaction("operator", begin) as connection:
            yield connection

    @asynccontextmanager
    async def batch(
        self,
        role: Literal["ingest", "dispatch"],
        tenant_ids: Collection[UUID],
        *,
        numbered: bool = False,
    ) -> AsyncIterator[asyncpg.Connection]:
        """Enter the tenants of a batch: one transaction that sees their rows and no others.

        Args:
            role: what it may do.
            tenant_ids: whose rows.
            numbered: give it its own number before it reads anything. Whoever waits for those that
                go by what was true before a moment (`missed` replays do) sees only numbered ones.
        """
        async with self.transaction(role, _begin(tenant_ids, numbered=numbered)) as connection:
            yield connection

    @asynccontextmanager
    async def queue(self) -> AsyncIterator[asyncpg.Connection]:
        """Begin a transaction that sees the deliveries of all tenants, to claim and finish them."""
        async with self.transaction("dispatch") as connection:
            yield connection

    @asynccontextmanager
    async def maintenance(self) -> AsyncIterator[asyncpg.Connection]:
        """Begin a transaction of the maintenance role: tenants, retention, the outbox."""
        async with self.transaction("maintenance") as connection:
            yield connection

    @asynccontextmanager
    async def directory(self) -> AsyncIterator[asyncpg.Connection]:
        """Begin a transaction that reads the sources and states of all tenants."""
        async with self.transaction("directory") as connection:
            yield connection

    @asynccontextmanager
    async def control(self) -> AsyncIterator[asyncpg.Connection]:
        """Begin a transaction on the control tables; only shard 0's are the true ones."""
        async with self.transaction("control") as connection:
            yield connection

    @asynccontextmanager
    async def session(self, role: DatabaseRole) -> AsyncIterator[asyncpg.Connection]:
        """Open a connection of one's own, in no transaction: to listen, or to change partitions."""
        with translating():
            connection = await asyncpg.connect(**connecting(self.settings, role))
            try:
                yield connection
            finally:
                await connection.close(timeout=ACQUIRE_TIMEOUT_S)

    @asynccontextmanager
    async def transaction(
        self, role: DatabaseRole, begin: str = "BEGIN"
    ) -> AsyncIterator[asyncpg.Connection]:
        """Begin a transaction with the first words it needs; commit at a clean exit."""
        pool = self._pools.get(role)
        if pool is None:
            raise _unopened(role)
        with translating():
            async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                try:
                    await connection.execute(begin)
                    yield connection
                    await connection.execute("COMMIT")
                except asyncio.CancelledError:
                    # Out of time or shutting down: a server that has stopped would not answer.
                    with suppress(asyncpg.InterfaceError):  # it was lost already
                        connection.terminate()
                    raise
                except BaseException:
                    if not connection.is_closed():
                        await connection.execute("ROLLBACK")
                    raise


def _shared_pool(settings: DatabaseSettings, number: int) -> TenantPool:
    budget = Budget(
        str(number),
        total=settings.pool_size,
        each=settings.tenant_connections,
        timeout_s=settings.acquire_timeout_s,
    )
    return TenantPool(engine_of(settings, "app", isolation_level="AUTOCOMMIT"), budget)


def _unopened(role: DatabaseRole) -> ConfigurationError:
    return ConfigurationError(f"This process was not opened with the role {role}.")


def _begin(tenant_ids: Collection[UUID], *, numbered: bool) -> str:
    """Return the statements that begin a transaction inside a set of tenants, in one round trip.

    It is what `crossdock.enter_many` does, without its conversions of 500 ids back and forth. Only
    the simple protocol takes two statements at once, so the text is written out: by `hex`, so that
    it holds nothing but digits and commas. A UUID without its dashes is one, too. A number is given
    by a statement of its own: the next one's snapshot is then taken after it.
    """
    begin = "BEGIN; SELECT pg_current_xact_id()" if numbered else "BEGIN"
    if not tenant_ids:
        return begin
    inside = b"".join([tenant.bytes for tenant in tenant_ids]).hex(",", 16)
    return f"{begin}; SET LOCAL crossdock.tenant_ids = '{inside}'"
