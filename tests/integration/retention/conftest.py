"""A database of each module's own."""

from collections.abc import AsyncIterator

import pytest

from crossdock.config import DatabaseSettings
from crossdock.db import Database


@pytest.fixture(scope="module")
async def database(fresh_database: DatabaseSettings) -> AsyncIterator[Database]:
    """The same database, as the product sees it."""
    roles = ["app", "ingest", "dispatch", "maintenance", "directory"]
    opened = await Database.open(fresh_database, roles)  # type: ignore[arg-type]
    yield opened
    await opened.close()
