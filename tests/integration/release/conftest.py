"""A database of each test's own, for a worker releases whatever it finds there."""

from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from crossdock.config import DatabaseSettings
from crossdock.db import Database
from crossdock.embedded import EmbeddedPostgres
from crossdock.inbound.persist import Persister
from tests.beds.releasing import Stock
from tests.beds.world import World


@pytest.fixture
def own_database(new_database: Callable[[], DatabaseSettings]) -> DatabaseSettings:
    """An empty, migrated database."""
    return new_database()


@pytest.fixture
async def database(own_database: DatabaseSettings) -> AsyncIterator[Database]:
    """The same, as the product sees it."""
    opened = await Database.open(own_database, ["ingest"])
    yield opened
    await opened.close()


@pytest.fixture
async def stock(
    own_database: DatabaseSettings, database: Database, postgres_server: EmbeddedPostgres
) -> AsyncIterator[Stock]:
    """Puts events there that wait to be released."""
    name = own_database.url.rpartition("/")[2]
    admin = await asyncpg.connect(postgres_server.admin_url(name))
    yield Stock(World(own_database, admin), Persister(database, lease_s=60))
    await admin.close()
