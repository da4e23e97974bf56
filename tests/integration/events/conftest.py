"""A gateway and a worker, on a broker and a database of their own, and a tenant that calls them."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import msgspec
import pytest

from crossdock import ids
from crossdock.access.permissions import PERMISSIONS
from crossdock.access.service import ApiKeys
from crossdock.config import DatabaseSettings, Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedNats
from crossdock.tenancy.service import Tenants
from tests.beds.served import served
from tests.beds.worker import for_tests, working
from tests.faults.waiting import until


class Caller(NamedTuple):
    """A tenant, and a client with its key."""

    tenant_id: UUID
    key_id: UUID
    http: httpx.AsyncClient

    async def publish(self, own_id: str | None = None, **fields: Any) -> str:
        """Publish an event; return its id."""
        body = {"id": own_id or ids.new().hex, "event_type": "order.paid", "payload": {}} | fields
        body = {name: value for name, value in body.items() if value is not None}
        answer = await self.http.post("/v1/events", json=body)
        assert answer.status_code == 202, answer.text
        found: str = answer.json()["id"]
        return found

    async def stored(self, event_id: str) -> dict[str, Any]:
        """Return an event once it is stored."""

        async def get() -> httpx.Response | None:
            answer = await self.http.get(f"/v1/events/{event_id}")
            return answer if answer.status_code == 200 else None

        found = await until(get, f"{event_id} to be stored")
        assert found is not None
        return dict(found.json())


@pytest.fixture(scope="module")
def own_nats() -> Iterator[EmbeddedNats]:
    """A broker that a test may restart."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder,
        EmbeddedNats(Path(folder), sync_interval="2m") as server,
    ):
        yield server


@pytest.fixture(scope="module")
def own_settings(
    settings: Settings, own_nats: EmbeddedNats, fresh_database: DatabaseSettings
) -> Settings:
    """Settings of this module's servers."""
    found = msgspec.structs.replace(settings, nats=own_nats.settings(), database=fresh_database)
    return for_tests(found)


@pytest.fixture(scope="module")
async def worker(own_settings: Settings) -> AsyncIterator[Any]:
    """A worker."""
    async with working(own_settings) as found:
        yield found


@pytest.fixture(scope="module")
async def gateway(own_settings: Settings, worker: Any) -> AsyncIterator[str]:
    """A gateway's address."""
    del worker
    async with served(own_settings, tenant_streams=3, inline_body_bytes=64 * 1024) as url:
        yield url


@pytest.fixture(scope="module")
async def own_databases(own_settings: Settings) -> AsyncIterator[Databases]:
    """The same database, for what operators do."""
    found = await Databases.open(own_settings.database, ["app", "control", "operator"])
    yield found
    await found.close()


@pytest.fixture(scope="module")
async def new_caller(
    own_settings: Settings, own_databases: Databases, gateway: str
) -> AsyncIterator[Callable[..., Awaitable[Caller]]]:
    """Makes tenants that call."""
    clients = []

    async def make(*permissions: str, url: str = gateway) -> Caller:
        tenant = await Tenants(own_databases).create(f"Tenant {ids.new().hex}")
        keys = ApiKeys(own_databases, environment=own_settings.environment)
        granted = frozenset(permissions) or PERMISSIONS
        made = await keys.create(tenant.id, name="k", permissions=granted, held=PERMISSIONS)
        headers = {"Authorization": f"Bearer {made.text}"}
        http = httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False)
        clients.append(http)
        return Caller(tenant.id, made.key.id, http)

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def caller(new_caller: Callable[..., Awaitable[Caller]]) -> Caller:
    """A tenant of a test's own."""
    return await new_caller()
