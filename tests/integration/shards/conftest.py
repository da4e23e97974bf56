"""An installation of two shards, one a module."""

from collections.abc import AsyncIterator, Callable

import pytest

from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from tests.beds.shards import Town


@pytest.fixture(scope="module")
async def town(
    new_database: Callable[[], DatabaseSettings], postgres_server: EmbeddedPostgres
) -> AsyncIterator[Town]:
    """Two shards and their administrator."""
    async with Town.open(postgres_server, new_database(), new_database()) as found:
        yield found


@pytest.fixture
async def databases(town: Town) -> AsyncIterator[Databases]:
    """The same, as a process sees it that has just started."""
    found = await Databases.open(town.settings, {"app", "control", "operator", "maintenance"})
    yield found
    await found.close()
