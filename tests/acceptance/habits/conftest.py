"""A tenant with room for all of these tests, and whoever has to do with it."""

from collections.abc import AsyncIterator

import pytest

from tests.acceptance.habits.home import ROOM, Home, open_home
from tests.acceptance.identity.people import Person, Town
from tests.acceptance.identity.problems import ok
from tests.faults.stack import Stack


@pytest.fixture(scope="session")
async def town(stack: Stack) -> AsyncIterator[Town]:
    """Everybody who may meet on the stack."""
    async with Town(stack) as opened:
        yield opened


@pytest.fixture(scope="session")
async def admin(town: Town) -> Person:
    """An operator who may do all that operators may."""
    return await town.operator("platform-admin")


@pytest.fixture(scope="session")
async def home(town: Town, admin: Person) -> Home:
    """A tenant of which every test takes rows of its own."""
    return await open_home(town, admin, "habits")


@pytest.fixture(scope="session")
async def neighbour(town: Town, admin: Person) -> Home:
    """Another tenant."""
    return await open_home(town, admin, "neighbour")


@pytest.fixture(scope="session")
async def founder(town: Town, admin: Person) -> Person:
    """The owner of a third tenant: a person, where a key won't do."""
    owner = await town.founder("habits")
    path = f"/v1/admin/tenants/{owner.tenant_id}/quota"
    ok(await admin.rest.patch(path, {"quotas": ROOM}), 200)
    return owner
