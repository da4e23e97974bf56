"""A broker of this folder's own: a drainer ends tokens that its database doesn't know."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from crossdock.config import DatabaseSettings
from crossdock.embedded import EmbeddedNats
from tests.beds.settings import SettingsBed


@pytest.fixture(scope="module")
def own_nats() -> Iterator[EmbeddedNats]:
    """A NATS server for one module, as its database is."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder,
        EmbeddedNats(Path(folder), sync_interval="2m") as server,
    ):
        yield server


@pytest.fixture
async def idle_bed(
    own_nats: EmbeddedNats, fresh_database: DatabaseSettings
) -> AsyncIterator[SettingsBed]:
    """A gateway's directory and a drainer, neither started."""
    async with SettingsBed.open(own_nats.settings(), fresh_database) as bed:
        yield bed


@pytest.fixture
async def bed(idle_bed: SettingsBed) -> SettingsBed:
    """A gateway's directory and a drainer, both running."""
    return await idle_bed.running()
