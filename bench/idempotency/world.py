"""One installation with one gateway process, a tenant, and a key of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from bench.ingest.world import OURS, Gateway, Kind, broker_of, keys_of
from crossdock.access.permissions import PERMISSIONS
from crossdock.access.service import ApiKeys
from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.db.migrate import migrate
from crossdock.embedded import EmbeddedPostgres
from crossdock.tenancy.service import Tenants


class World(msgspec.Struct):
    """What runs, and how to be let in."""

    gateway: Gateway
    key: str


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[World]:
    """Start everything, and end it."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres(folder))
        postgres.ensure_database()
        await migrate(postgres.admin_url(), postgres.settings())
        broker = await broker_of(stack, folder, sync_interval="2m")
        settings = Settings(database=postgres.settings(), keys=keys_of(broker))
        key = await _tenant(settings)
        gateway = Gateway(Kind(OURS), broker, folder / "gateway.log")
        stack.push_async_callback(gateway.end)
        await gateway.start(settings)
        yield World(gateway, key)


async def _tenant(settings: Settings) -> str:
    """Make a tenant without quotas, and return its key."""
    database = await Databases.open(settings.database, {"app", "control", "directory", "operator"})
    try:
        tenant = await Tenants(database).create("Bench", plan="unlimited")
        keys = ApiKeys(database, environment=settings.environment)
        made = await keys.create(tenant.id, name="k", permissions=PERMISSIONS, held=PERMISSIONS)
    finally:
        await database.close()
    return made.text
