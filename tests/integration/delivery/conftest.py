"""A database for deliveries, and a receiver."""

from collections.abc import AsyncIterator

import pytest

from crossdock.config import DatabaseSettings, Settings
from crossdock.db import Databases
from tests.beds.delivery import DeliveryBed, Receiver
from tests.beds.worker import ROLES


@pytest.fixture(scope="module")
async def bed(settings: Settings, fresh_database: DatabaseSettings) -> AsyncIterator[DeliveryBed]:
    """The services over a database of this module's own."""
    database = await Databases.open(fresh_database, ROLES)
    yield DeliveryBed(database, settings)
    await database.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A server that takes deliveries."""
    found = Receiver()
    await found.start()
    yield found
    await found.stop()
