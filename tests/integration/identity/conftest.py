"""A gateway's REST API, and people to sign in to it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import make_url

from crossdock.config import Settings
from crossdock.embedded import EmbeddedPostgres
from tests.beds.signing_in import Person, SigningInBed


@pytest.fixture(scope="module")
async def bed(settings: Settings, postgres_server: EmbeddedPostgres) -> AsyncIterator[SigningInBed]:
    """The API of a gateway that asks PostgreSQL about everything."""
    admin_url = postgres_server.admin_url(str(make_url(settings.database.url).database))
    async with SigningInBed.open(settings, admin_url) as found:
        yield found


@pytest.fixture
async def ann(bed: SigningInBed) -> Person:
    """Somebody, the owner of a tenant."""
    return await bed.person()


@pytest.fixture
async def second_admin(
    settings: Settings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[asyncpg.Connection]:
    """A superuser who holds locks."""
    name = str(make_url(settings.database.url).database)
    connection = await asyncpg.connect(postgres_server.admin_url(name))
    yield connection
    await connection.close()
