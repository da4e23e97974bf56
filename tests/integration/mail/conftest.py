"""A shard with letters on it, and a server to send them to."""

from collections.abc import AsyncIterator

import pytest

from crossdock.config import DatabaseSettings
from crossdock.embedded import EmbeddedPostgres
from tests.beds.mail import MailServer, mail_server
from tests.beds.post import PostBed


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    """A mail server that takes everything."""
    async with mail_server() as found:
        yield found


@pytest.fixture
async def bed(
    fresh_database: DatabaseSettings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[PostBed]:
    """An empty table of letters, and a tenant."""
    name = fresh_database.url.rpartition("/")[2]
    async with PostBed.open(fresh_database, postgres_server.admin_url(name)) as found:
        yield found
