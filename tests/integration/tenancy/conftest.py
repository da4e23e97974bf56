"""Tenants on real databases, and a superuser who sees everything."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from sqlalchemy import make_url

from crossdock import ids
from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.tenancy.model import Tenant
from crossdock.tenancy.service import Tenants


@pytest.fixture(scope="module")
async def database(settings: Settings) -> AsyncIterator[Databases]:
    """The session's database, as gateways, operators and workers see it."""
    found = await Databases.open(
        settings.database, {"app", "control", "operator", "directory", "maintenance"}
    )
    yield found
    await found.close()


@pytest.fixture(scope="module")
async def admin(
    settings: Settings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[asyncpg.Connection]:
    """A superuser."""
    name = str(make_url(settings.database.url).database)
    connection = await asyncpg.connect(postgres_server.admin_url(name))
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
def tenants(database: Databases) -> Tenants:
    """The operator's work."""
    return Tenants(database)


@pytest.fixture(scope="module")
def new_tenant(tenants: Tenants) -> Callable[..., Awaitable[Tenant]]:
    """Makes a tenant that no other test knows."""

    async def make(plan: str = "standard") -> Tenant:
        return await tenants.create(fresh(), plan=plan)

    return make


def fresh() -> str:
    """Return a name and slug that nobody has."""
    return f"t-{ids.new().hex}"
