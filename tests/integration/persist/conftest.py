"""A database of each module's own, and who persists into it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from crossdock.config import DatabaseSettings
from crossdock.db import Database, Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.inbound.persist import Persister
from tests.beds.world import World

LEASE_S = 60.0


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
async def database(fresh_database: DatabaseSettings) -> AsyncIterator[Database]:
    """The same database, as the product sees it."""
    opened = await Database.open(fresh_database, ["app", "ingest", "dispatch", "maintenance"])
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def databases(fresh_database: DatabaseSettings) -> AsyncIterator[Databases]:
    """The same, as what serves tenants sees it."""
    opened = await Databases.open(fresh_database, ["app", "maintenance"])
    yield opened
    await opened.close()


@pytest.fixture
def persister(database: Database) -> Persister:
    """A worker's persister."""
    return Persister(database, lease_s=LEASE_S)
