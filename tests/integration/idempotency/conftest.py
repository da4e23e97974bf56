"""A database of each module's own, and requests with keys on it."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from crossdock import ids
from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.idempotency.memory import Memory
from crossdock.idempotency.model import Answer, Claim
from crossdock.idempotency.service import Idempotency
from crossdock.idempotency.vault import Vault
from tests.beds.world import World, tenant

MAKE: Final = text(
    "INSERT INTO crossdock.destinations (tenant_id, id, name, url)"
    " VALUES (:tenant, gen_random_uuid(), :name, 'u')"
)
ANSWER: Final = Answer(201, (("location", "/made"),), b'{"made": true}')

Work = Callable[[], Awaitable[Answer | None]]


class Nothing:
    """A memory that knows nothing: every question goes to the database."""

    def get(self, _digest: bytes) -> bytes | None:
        """Return nothing."""
        return None

    def share(self, digest: bytes, sealed: bytes) -> None:
        """Keep nothing."""


class Bed:
    """A tenant, and services that do its work once; each is another process."""

    def __init__(self, world: World, databases: Databases) -> None:
        self.world = world
        self.databases = databases
        self.vault = Vault(os.urandom(32))
        self.tenant_id = UUID(int=0)

    def service(self, *, remembers: bool = False, **options: Any) -> Idempotency:
        """Return a service of another process than those before."""
        hot = Memory() if remembers else Nothing()
        return Idempotency(self.databases, self.vault, hot, **options)

    def claim(self, key: str | None = None, request: bytes = b"r", **changes: Any) -> Claim:
        """Return a claim of the tenant's; by default under a key of its own."""
        made = Claim(
            tenant_id=self.tenant_id,
            digest=self.vault.digest(self.tenant_id, "key 1", key or ids.new().hex),
            fingerprint=self.vault.fingerprint(request),
        )
        return msgspec.structs.replace(made, **changes)

    async def make(self, name: str) -> None:
        """Make something, in a transaction of its own as far as this knows."""
        async with self.databases.tenant(self.tenant_id) as conn:
            await conn.execute(MAKE, {"tenant": self.tenant_id, "name": name})

    def making(self, name: str, answer: Answer | None = ANSWER) -> Work:
        """Return work that makes something and has this answer."""

        async def work() -> Answer | None:
            await self.make(name)
            return answer

        return work

    async def made(self, name: str) -> int:
        """Return how many there are of something, as others see it."""
        return await self.world.count(
            "destinations", "tenant_id = $1 AND name = $2", self.tenant_id, name
        )

    async def state(self, claim: Claim) -> str | None:
        """Return what is written of a claim."""
        found: str | None = await self.world.admin.fetchval(
            "SELECT state FROM crossdock.idempotency_keys WHERE tenant_id = $1 AND digest = $2",
            claim.tenant_id,
            claim.digest,
        )
        return found


async def never() -> Answer | None:
    """Be work that must not be done."""
    pytest.fail("done again")


@pytest.fixture(scope="module")
async def databases(fresh_database: DatabaseSettings) -> AsyncIterator[Databases]:
    """The same database, as gateways and workers see it."""
    # Many ask at once, and a busy machine is no reason to be refused.
    patient = msgspec.structs.replace(fresh_database, acquire_timeout_s=30.0)
    opened = await Databases.open(patient, ["app", "control", "maintenance"])
    yield opened
    await opened.close()


@pytest.fixture
async def bed(world: World, databases: Databases) -> Bed:
    """A tenant of the test's own."""
    made, own = Bed(world, databases), tenant()
    await world.add(own)
    made.tenant_id = own.id
    return made
