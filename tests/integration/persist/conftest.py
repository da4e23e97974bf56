"""A database of each module's own, and who persists into it."""

from collections.abc import AsyncIterator

import pytest

from crossdock.config import DatabaseSettings
from crossdock.db import Database
from crossdock.inbound.persist import Persister

LEASE_S = 60.0


@pytest.fixture(scope="module")
async def database(fresh_database: DatabaseSettings) -> AsyncIterator[Database]:
    """The same database, as the product sees it."""
    opened = await Database.open(fresh_database, ["app", "ingest", "dispatch", "maintenance"])
    yield opened
    await opened.close()


@pytest.fixture
def persister(database: Database) -> Persister:
    """A worker's persister."""
    return Persister(database, lease_s=LEASE_S)
