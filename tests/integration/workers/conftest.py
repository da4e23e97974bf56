"""A broker and a database for workers alone, and a receiver."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
import structlog

from crossdock.config import DatabaseSettings, Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedNats
from tests.beds.delivery import DeliveryBed, Receiver
from tests.beds.worker import ROLES, Ingest, for_tests


@pytest.fixture(scope="module", autouse=True)
def plain_logs() -> Iterator[None]:
    """Logs as a worker writes them: local variables take seconds to write, and all else waits."""
    before = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before[:-1], plain])
    yield
    structlog.configure(processors=before)


@pytest.fixture(scope="module")
def own_nats() -> Iterator[EmbeddedNats]:
    """A broker that no other module's worker pulls from."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder,
        EmbeddedNats(Path(folder), sync_interval="2m") as server,
    ):
        yield server


@pytest.fixture
def worker_settings(
    settings: Settings, own_nats: EmbeddedNats, fresh_database: DatabaseSettings
) -> Settings:
    """Settings of one worker."""
    return for_tests(
        msgspec.structs.replace(settings, nats=own_nats.settings(), database=fresh_database)
    )


@pytest.fixture
async def bed(settings: Settings, fresh_database: DatabaseSettings) -> AsyncIterator[DeliveryBed]:
    """The services over the same database."""
    database = await Databases.open(fresh_database, ROLES)
    yield DeliveryBed(database, settings)
    await database.close()


@pytest.fixture
async def ingest(worker_settings: Settings) -> AsyncIterator[Ingest]:
    """The broker, with its streams."""
    found = await Ingest.open(worker_settings)
    yield found
    await found.bus.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A server that takes deliveries."""
    found = Receiver()
    await found.start()
    yield found
    await found.stop()
