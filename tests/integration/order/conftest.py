"""A broker and a database for lines alone, and a receiver."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from crossdock.config import DatabaseSettings, Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedNats
from tests.beds.delivery import Receiver
from tests.beds.ordering import OrderBed
from tests.beds.worker import ROLES, Ingest


@pytest.fixture(scope="module")
def own_nats() -> Iterator[EmbeddedNats]:
    """A broker from which nobody else pulls."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder,
        EmbeddedNats(Path(folder), sync_interval="2m") as server,
    ):
        yield server


@pytest.fixture
def order_settings(
    settings: Settings, own_nats: EmbeddedNats, fresh_database: DatabaseSettings
) -> Settings:
    """Settings with both."""
    return msgspec.structs.replace(settings, nats=own_nats.settings(), database=fresh_database)


@pytest.fixture
async def bed(order_settings: Settings) -> AsyncIterator[OrderBed]:
    """The services, and a consumer that a test acknowledges by."""
    databases = await Databases.open(order_settings.database, ROLES)
    ingest = await Ingest.open(order_settings)
    found = OrderBed(order_settings, databases, ingest)
    await found.consumer.open()
    yield found
    await found.leave_nothing()
    await found.consumer.close()
    await ingest.bus.close()
    await databases.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A server that takes deliveries."""
    found = Receiver()
    await found.start()
    yield found
    await found.stop()
