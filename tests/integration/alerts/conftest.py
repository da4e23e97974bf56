"""A database and a broker of each module's own, and a clock that tests set."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from crossdock.config import DatabaseSettings, Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from tests.beds.alerting import AlertBed, Telling
from tests.beds.delivery import DeliveryBed, Receiver
from tests.beds.worker import ROLES, Ingest


@pytest.fixture
async def watched(
    fresh_database: DatabaseSettings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[AlertBed]:
    """What tests make trouble in."""
    name = fresh_database.url.rpartition("/")[2]
    async with AlertBed.open(fresh_database, postgres_server.admin_url(name)) as bed:
        yield bed


@pytest.fixture(scope="module")
def own_nats() -> Iterator[EmbeddedNats]:
    """A broker that nobody else pulls from."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder,
        EmbeddedNats(Path(folder), sync_interval="2m") as server,
    ):
        yield server


@pytest.fixture
async def telling(
    watched: AlertBed, settings: Settings, own_nats: EmbeddedNats, fresh_database: DatabaseSettings
) -> AsyncIterator[Telling]:
    """The way of alerts' events."""
    here = msgspec.structs.replace(settings, nats=own_nats.settings(), database=fresh_database)
    databases = await Databases.open(fresh_database, ROLES)
    ingest = await Ingest.open(here)
    yield Telling(watched, DeliveryBed(databases, here), ingest)
    await ingest.bus.close()
    await databases.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A server that takes deliveries."""
    found = Receiver()
    await found.start()
    yield found
    await found.stop()
