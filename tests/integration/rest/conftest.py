"""The REST API in this process, on a real database, and tenants to call it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import make_url

from crossdock import ids
from crossdock.access.permissions import PERMISSIONS
from crossdock.access.service import ApiKeys
from crossdock.config import DatabaseRole, Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.health import Health
from crossdock.tenancy.service import Tenants
from gateway.identity import Identity, opened
from gateway.rest import create_rest
from tests.beds.crowd import Crowd
from tests.beds.open_runtime import OpenRuntime
from tests.beds.signing_in import Unknowing

_numbers = count(1)

ALIAS: Final = "alias"
"""Under this name `owner` has the id of a duplicate of its event."""


class Caller(msgspec.Struct):
    """A tenant with a client that carries its key."""

    tenant_id: UUID
    key: str
    http: httpx.AsyncClient


@pytest.fixture(scope="module")
async def database(settings: Settings) -> AsyncIterator[Databases]:
    """The session's database, as a gateway and an operator see it."""
    roles: set[DatabaseRole] = {"app", "control", "directory", "operator", "maintenance"}
    found = await Databases.open(settings.database, roles)
    yield found
    await found.close()


@pytest.fixture(scope="module")
async def admin(
    settings: Settings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[asyncpg.Connection]:
    """A superuser, to put rows where other parts would, and to see everything."""
    name = str(make_url(settings.database.url).database)
    connection = await asyncpg.connect(postgres_server.admin_url(name))
    yield connection
    await connection.close()


class Rows:
    """Puts rows where the workers would."""

    def __init__(self, admin: asyncpg.Connection) -> None:
        self._admin = admin

    async def event(
        self,
        tenant_id: UUID,
        source_id: UUID | None = None,
        *,
        event_id: UUID | None = None,
        event_type: str = "invoice.paid",
        body: bytes = b'{"paid": true}',
        alias_id: UUID | None = None,
    ) -> UUID:
        """Insert an event, and on demand the id of a duplicate of it."""
        event_id = event_id or ids.new()
        await self._admin.execute(
            "INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type,"
            " provider_id, content_type, traceparent, headers, body)"
            " VALUES ($1, $2, $3, 1, $4, 'p-1', 'application/json', '00-a-b-00', $5, $6)",
            tenant_id,
            event_id,
            source_id or ids.new(),
            event_type,
            b'[["x-github-event","push"]]',
            body,
        )
        if alias_id is not None:
            await self._admin.execute(
                "INSERT INTO crossdock.event_aliases VALUES ($1, $2, $3)",
                tenant_id,
                alias_id,
                event_id,
            )
        return event_id

    async def delivery(
        self,
        tenant_id: UUID,
        event_id: UUID,
        destination_id: UUID,
        *,
        state: str = "dead",
        attempts: int = 1,
    ) -> UUID:
        """Insert a delivery with its attempts."""
        delivery_id = ids.new()
        await self._admin.execute(
            "INSERT INTO crossdock.deliveries (tenant_id, id, event_id, destination_id, due_at,"
            " finished_at, attempts, last_status, state, reason)"
            " VALUES ($1, $2, $3, $4, now(), now(), $5, 500, $6, 'attempts_exhausted')",
            tenant_id,
            delivery_id,
            event_id,
            destination_id,
            attempts,
            state,
        )
        for number in range(1, attempts + 1):
            await self._admin.execute(
                "INSERT INTO crossdock.attempts (tenant_id, id, delivery_id, duration_ms, number,"
                " status, response_headers, response_body)"
                " VALUES ($1, $2, $3, 12, $4, 500, $5, $6)",
                tenant_id,
                ids.new(),
                delivery_id,
                number,
                b'[["content-type","text/plain"]]',
                b"broken",
            )
        return delivery_id


@pytest.fixture(scope="module")
def rows(admin: asyncpg.Connection) -> Rows:
    """Puts rows where the workers would."""
    return Rows(admin)


@pytest.fixture(scope="module")
async def identity(settings: Settings, database: Databases) -> AsyncIterator[Identity]:
    """What people sign in with."""
    async with opened(settings, database, Unknowing()) as found:
        await found.signing_keys.load()
        yield found


@pytest.fixture(scope="module")
def crowd(admin: asyncpg.Connection, identity: Identity) -> Crowd:
    """Puts people where signing up and invitations would."""
    return Crowd(admin, identity.issuer)


@pytest.fixture(scope="module")
async def app(settings: Settings, database: Databases, identity: Identity) -> Litestar:
    """The application."""

    async def up() -> None:
        """Answer at once."""

    health = Health({"nats": up, "postgres": up}, required=frozenset({"nats"}))
    return create_rest(settings, OpenRuntime(database, identity, health))


@pytest.fixture(scope="module")
async def connect(app: Litestar) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes clients of the application."""
    clients = []

    def make(key: str | None = None) -> httpx.AsyncClient:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        transport = httpx.ASGITransport(cast("Any", app))
        client = httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture(scope="module")
async def new_tenant(
    settings: Settings, database: Databases, connect: Callable[..., httpx.AsyncClient]
) -> Callable[..., Awaitable[Caller]]:
    """Makes a tenant and a key for it that may do everything, or what is named."""
    tenants = Tenants(database)
    api_keys = ApiKeys(database, environment=settings.environment)

    async def make(*permissions: str) -> Caller:
        tenant = await tenants.create(f"Tenant {ids.new().hex} {next(_numbers)}")
        key = await api_keys.create(
            tenant.id,
            name="all",
            permissions=frozenset(permissions) or PERMISSIONS,
            held=PERMISSIONS,
        )
        return Caller(tenant.id, key.text, connect(key.text))

    return make


@pytest.fixture(scope="module")
async def alice(new_tenant: Callable[..., Awaitable[Caller]]) -> Caller:
    """A tenant."""
    return await new_tenant()


@pytest.fixture(scope="module")
async def bob(new_tenant: Callable[..., Awaitable[Caller]]) -> Caller:
    """Another tenant."""
    return await new_tenant()


@pytest.fixture(scope="module")
def anonymous(connect: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    """A client without a key."""
    return connect()


@pytest.fixture(scope="module")
async def operator(crowd: Any, connect: Any) -> Any:
    """One of the platform's people."""
    return connect((await crowd.operator()).token)


@pytest.fixture(scope="module")
async def owner(new_tenant: Any, crowd: Any, connect: Any, rows: Any) -> dict[str, Any]:
    """A tenant, its owner, and one of everything that the API and the workers make."""
    caller = await new_tenant()
    member = await crowd.user(caller.tenant_id, "owner")
    colleague = await crowd.user(caller.tenant_id, "viewer")
    http = connect(member.token)

    async def made(path: str, **body: Any) -> Any:
        answer = await http.post(path, json=body, headers={"Idempotency-Key": ids.new().hex})
        assert answer.status_code == 201, answer.text
        return answer.json()

    source = await made("/v1/sources", name="s", scheme="stripe")
    await http.post(f"/v1/sources/{source['id']}/rotate-secret", json={})
    secrets = (await http.get(f"/v1/sources/{source['id']}")).json()["secrets"]
    destination = await made("/v1/destinations", name="d", url="https://example.com/hooks")
    alias = ids.new()
    event = await rows.event(caller.tenant_id, ids.decode("src", source["id"]), alias_id=alias)
    delivery = await rows.delivery(caller.tenant_id, event, ids.decode("dst", destination["id"]))
    owned = {
        "source_id": source["id"],
        "secret_id": secrets[1]["id"],
        "destination_id": destination["id"],
        "event_id": ids.encode("evt", event),
        ALIAS: ids.encode("evt", alias),
        "delivery_id": ids.encode("dlv", delivery),
        "user_id": colleague.wire_id,
        "session_id": ids.encode("ses", member.session_id),
        "tenant_id": ids.encode("ten", caller.tenant_id),
        "number": "1",
        "preset_name": "stripe",
    }
    for name, path, body in (
        ("replay_id", "/v1/replays", {}),
        ("key_id", "/v1/api-keys", {"name": "k", "permissions": ["events:read"]}),
        ("invitation_id", "/v1/invitations", {"email": "i@example.com", "roles": ["viewer"]}),
        ("event_type_id", "/v1/event-types", {"name": "t", "schema": {}}),
        ("role_id", "/v1/roles", {"name": "r", "permissions": ["events:read"]}),
    ):
        owned[name] = (await made(path, **body))["id"]
    tried = await http.post("/v1/alerts/test", json={"ways": ["webhook"]})
    owned["alert_id"] = tried.json()["alert"]["id"]
    return {"caller": caller, "http": http, "owned": owned}
