"""One stack for the tests of tenants and people, which may each come from an address of its own."""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.acceptance.identity.people import LEAKED, Person, Town
from tests.acceptance.identity.problems import ok
from tests.faults.stack import Stack

ENVIRON = {"CROSSDOCK_GATEWAY__TRUSTED_PROXIES": "127.0.0.1/32"}
"""So that limits by address see each test's own, and one test's storm is no other's 429."""

ROOM = ("users", "api_keys", "sources", "destinations")
BREACHED = "breached.txt"


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder with a list of breached passwords that the gateways may read."""
    with tempfile.TemporaryDirectory(prefix="crossdock-identity-") as name:
        made = Path(name)
        made.chmod(0o755)
        digest = hashlib.sha1(LEAKED.encode(), usedforsecurity=False).hexdigest()
        (made / BREACHED).write_text(f"{digest.upper()}:1337\n")
        yield made


@pytest.fixture(scope="session")
async def stack(folder: Path) -> AsyncIterator[Stack]:
    """`crossdock up`, as anyone would start it behind a proxy of their own."""
    environ = ENVIRON | {"CROSSDOCK_IDENTITY__BREACHED_PASSWORDS": str(folder / BREACHED)}
    async with Stack(folder / "data", environ=environ) as running:
        yield running


@pytest.fixture(scope="session")
async def town(stack: Stack) -> AsyncIterator[Town]:
    """Everybody who may meet there."""
    async with Town(stack) as opened:
        yield opened


@pytest.fixture(scope="session")
async def admin(town: Town) -> Person:
    """An operator who may do all that operators may."""
    return await town.operator("platform-admin")


@pytest.fixture(scope="module")
async def owner(town: Town, admin: Person, request: pytest.FixtureRequest) -> Person:
    """The founder of a tenant that is this module's own, with room for all of its tests."""
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    founder = await town.founder(name)
    path = f"/v1/admin/tenants/{founder.tenant_id}/quota"
    room = dict.fromkeys(ROOM, 500) | {"requests_per_minute": 1_000_000}
    ok(await admin.rest.patch(path, {"quotas": room}))
    return founder
