"""Real servers, one tenant with many sources, a drainer and gateways' directories."""

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from crossdock import ids
from crossdock.bus.connection import Bus, connect
from crossdock.db import Database, Databases
from crossdock.db.migrate import migrate
from crossdock.directory import Directory, Memory
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.embedded.postgres import DATABASE
from crossdock.inbound.sources.sealing import secret_context
from crossdock.outbox.service import drain_forever
from crossdock.secrets import model
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer

POLL_S: Final = 0.001
ACCESS_TTL_S: Final = 600.0
COLUMNS: Final = (
    "tenant_id",
    "id",
    "name",
    "scheme",
    "recipe",
    "secrets",
    "token_hash",
    "token_sealed",
    "max_body_bytes",
)


class World(msgspec.Struct):
    """What a measurement works with."""

    nats: EmbeddedNats
    admin: asyncpg.Connection
    bus: Bus
    databases: Databases
    database: Database
    sealer: Sealer
    tenant_id: UUID
    tasks: list[asyncio.Task[None]]

    def directory(self) -> Directory:
        """Start a gateway's directory that knows nothing yet."""
        directory = Directory(
            self.bus, self.databases, Memory(self.sealer), access_ttl_s=ACCESS_TTL_S
        )
        self.tasks.append(asyncio.create_task(directory.run()))
        return directory

    def drain(self) -> None:
        """Start a drainer."""
        self.tasks.append(
            asyncio.create_task(drain_forever(self.database, self.bus, access_ttl_s=ACCESS_TTL_S))
        )

    async def add_sources(self, count: int) -> list[str]:
        """Store sources behind everybody's back; return their tokens."""
        tokens = [secrets.token_urlsafe(32) for _ in range(count)]
        await self.admin.copy_records_to_table(
            "sources",
            schema_name="crossdock",
            columns=COLUMNS,
            records=[self._row(token) for token in tokens],
        )
        return tokens

    async def republish(self) -> None:
        """Say that the tenant changed: all of its sources are to be published."""
        await self.admin.execute(
            "INSERT INTO crossdock.outbox (tenant_id, topic, key) VALUES ($1, 'tenant', $2)",
            self.tenant_id,
            str(self.tenant_id),
        )

    async def publish_all(self) -> None:
        """Wait until no row of the outbox waits."""
        waiting = "SELECT count(*) FROM crossdock.outbox WHERE published_at IS NULL"
        while await self.admin.fetchval(waiting):  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.01)

    def _row(self, token: str) -> tuple[object, ...]:
        source_id = ids.new()
        secret = self.sealer.seal(
            b"whsec_" + secrets.token_hex(16).encode(),
            context=secret_context(self.tenant_id, source_id),
        )
        return (
            self.tenant_id,
            source_id,
            source_id.hex,
            "stripe",
            '{"scheme": "stripe"}',
            model.encode((SealedSecret("aaaaaaaa", secret),)),
            sha256(token.encode()).digest(),
            b"",
            262_144,
        )


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    """Start PostgreSQL and NATS (`sync_interval: always`), both real, in a folder of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder,
        EmbeddedNats(Path(folder)) as nats,
        EmbeddedPostgres(Path(folder)) as postgres,
    ):
        postgres.ensure_database(DATABASE)
        settings = postgres.settings(DATABASE)
        await migrate(postgres.admin_url(DATABASE), settings)
        admin = await asyncpg.connect(postgres.admin_url(DATABASE))
        bus = await connect(nats.settings())
        databases = await Databases.open(settings, {"maintenance", "directory"})
        tenant_id = ids.new()
        await admin.execute(
            "INSERT INTO crossdock.tenants (id, slug, name) VALUES ($1, 'bench', 'Bench')",
            tenant_id,
        )
        sealer = Sealer(os.urandom(32))
        world = World(nats, admin, bus, databases, databases.shard(0), sealer, tenant_id, [])
        try:
            yield world
        finally:
            for task in world.tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await admin.close()
            await databases.close()
            await bus.close()


async def until(holds: Callable[[], bool], *, within_s: float = 120.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(POLL_S)
