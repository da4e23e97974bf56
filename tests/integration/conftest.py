"""A database of each module's own, for those who need one."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from tests.beds.world import World


@pytest.fixture(scope="module")
async def world(
    fresh_database: DatabaseSettings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[World]:
    """An empty, migrated database, as its administrator sees it."""
    name = fresh_database.url.rpartition("/")[2]
    admin = await asyncpg.connect(postgres_server.admin_url(name))
    yield World(fresh_database, admin)
    await admin.close()


@pytest.fixture(scope="module")
async def databases(fresh_database: DatabaseSettings) -> AsyncIterator[Databases]:
    """The same, as what serves tenants sees it."""
    opened = await Databases.open(fresh_database, ["app", "maintenance"])
    yield opened
    await opened.close()
