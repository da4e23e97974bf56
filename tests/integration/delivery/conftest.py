"""A database for deliveries, and a receiver."""

from collections.abc import AsyncIterator

import pytest

from crossdock.config import DatabaseSettings, Settings
from crossdock.db import Database
from tests.beds.delivery import DeliveryBed, Receiver


@pytest.fixture(scope="module")
async def bed(settings: Settings, fresh_database: DatabaseSettings) -> AsyncIterator[DeliveryBed]:
    """The services over a database of this module's own."""
    roles = {"app", "ingest", "dispatch", "maintenance"}
    database = await Database.open(fresh_database, roles)  # type: ignore[arg-type]
    yield DeliveryBed(database, settings)
    await database.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A server that takes deliveries."""
    found = Receiver()
    await found.start()
    yield found
    await found.stop()
