"""People with passwords, the REST API that they sign in to, and everything it writes down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from typing import Any, Final, Self, cast
from uuid import UUID

import asyncpg
import httpx
import msgspec
from litestar import Litestar

from crossdock import ids
from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.identity import emails
from crossdock.identity.verification import Memory
from crossdock.mail.model import Mail
from gateway import identity
from gateway.identity import Identity
from gateway.rest import create_rest
from proto.settings import TenantSettings
from tests.beds.open_runtime import OpenRuntime

PASSWORD: Final = "correct horse battery staple"
_numbers = count(1)


class Unknowing:
    """The memory of a gateway that hears from nobody: PostgreSQL is asked about everything."""

    def tenant(self, tenant_id: UUID) -> TenantSettings | None:
        """Return nothing."""
        known: dict[UUID, TenantSettings] = {}
        return known.get(tenant_id)

    def is_current(self, shard: int) -> bool:
        """Tell that nothing is known."""
        return shard < 0

    def is_revoked(
        self, tenant_id: UUID, user_id: UUID, session_id: UUID, issued_at: float
    ) -> bool:
        """Fail: nobody may ask what is not current."""
        raise AssertionError((tenant_id, user_id, session_id, issued_at))


class Person:
    """A user, and a client at an address that nobody else has."""

    def __init__(
        self, bed: "SigningInBed", tenant: tuple[UUID, str], user_id: UUID, email: str
    ) -> None:
        self.bed = bed
        self.tenant_id, self.slug = tenant
        self.id = user_id
        self.email = email
        self.address = new_address()

    async def try_login(self, password: str = PASSWORD, **more: Any) -> httpx.Response:
        """Ask for a session."""
        body = {"email": self.email, "password": password, "tenant": self.slug} | more
        return await self.bed.post("/v1/auth/login", body, address=self.address)

    async def login(self, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
        """Return the tokens of a new session."""
        answer = await self.try_login(password, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def call(
        self, pair: dict[str, Any], path: str, body: Any = None, *, method: str = "POST"
    ) -> httpx.Response:
        """Ask for something with the access token of a pair."""
        token = pair["access_token"]
        return await self.bed.request(method, path, body, token=token, address=self.address)

    async def get(self, pair: dict[str, Any], path: str = "/v1/auth/me") -> httpx.Response:
        """Look at something with the access token of a pair."""
        return await self.call(pair, path, method="GET")

    async def actions(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what the audit of the tenant says, in order: actions, and their details."""
        rows = await self.bed.admin.fetch(
            "SELECT action, detail FROM crossdock.audit WHERE tenant_id = $1 ORDER BY id",
            self.tenant_id,
        )
        return [(row["action"], msgspec.json.decode(row["detail"])) for row in rows]

    async def refusals(self, action: str) -> list[str]:
        """Return the reasons for which an action was refused."""
        return [
            detail["reason"] for name, detail in await self.actions() if name == f"{action}.refused"
        ]

    async def letters(self, kind: str) -> list[Mail]:
        """Return the letters of a kind that were posted to this person, in order."""
        rows = await self.bed.admin.fetch(
            "SELECT id, sealed FROM crossdock.mails WHERE tenant_id = $1 ORDER BY id",
            self.tenant_id,
        )
        postbox = self.bed.identity.postbox
        found = [postbox.open(self.tenant_id, row["id"], row["sealed"]) for row in rows]
        return [letter for letter in found if letter.kind == kind and letter.to == self.email]

    async def row(self) -> asyncpg.Record:
        """Return the user's row."""
        return await self.bed.admin.fetchrow("SELECT * FROM crossdock.users WHERE id = $1", self.id)

    async def set(self, **values: Any) -> None:
        """Change the user's row behind everybody's back."""
        await self.bed.change("users", self.id, values)

    async def set_tenant(self, **values: Any) -> None:
        """Change the tenant's row behind everybody's back."""
        await self.bed.change("tenants", self.tenant_id, values)


class SigningInBed:
    """A gateway's REST API on a real database; `admin` sees and changes everything."""

    def __init__(self, settings: Settings, admin: asyncpg.Connection) -> None:
        self.settings = settings
        self.admin = admin
        self._hash: asyncio.Future[str] | None = None

    database: Databases
    identity: Identity
    app: Litestar
    http: httpx.AsyncClient

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, admin_url: str, memory: Memory | None = None
    ) -> AsyncIterator[Self]:
        """Open a gateway's database, identity and REST API."""
        gateway = msgspec.structs.replace(settings.gateway, trusted_proxies=("127.0.0.0/8",))
        bed = cls(
            msgspec.structs.replace(settings, gateway=gateway), await asyncpg.connect(admin_url)
        )
        roles = {"app", "control", "directory", "operator"}
        bed.database = await Databases.open(settings.database, roles)  # type: ignore[arg-type]
        known = memory or Unknowing()
        try:
            async with identity.opened(bed.settings, bed.database, known) as bed.identity:
                await bed.identity.signing_keys.load()
                bed.app = create_rest(bed.settings, OpenRuntime(bed.database, bed.identity))
                async with bed.client(bed.app) as bed.http:
                    yield bed
        finally:
            await bed.database.close()
            await bed.admin.close()

    def client(self, app: Litestar) -> httpx.AsyncClient:
        """Return a client of an application."""
        transport = httpx.ASGITransport(cast("Any", app))
        return httpx.AsyncClient(transport=transport, base_url="http://api")

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        address: str | None = None,
        headers: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """Ask, from an address of one's own unless one is named."""
        sent = {"x-forwarded-for": address or new_address(), "user-agent": "tests"}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if body is not None:
            sent["content-type"] = "application/json"
        content = None if body is None else msgspec.json.encode(body)
        return await self.http.request(
            method, path, content=content, headers=sent | (headers or {})
        )

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """Post something."""
        return await self.request("POST", path, body, **more)

    async def refresh(self, token: str) -> httpx.Response:
        """Go on with a session."""
        return await self.post("/v1/auth/refresh", {"refresh_token": token})

    async def tenant(self) -> tuple[UUID, str]:
        """Make a tenant; return its id and slug."""
        tenant_id = ids.new()
        slug = f"t-{next(_numbers)}-{tenant_id.hex}"
        await self.admin.execute(
            "INSERT INTO crossdock.tenants (id, slug, name) VALUES ($1, $2, 'Test')",
            tenant_id,
            slug,
        )
        await self.admin.execute(
            "INSERT INTO crossdock.placements (tenant_id, slug, name, shard)"
            " VALUES ($1, $2, 'Test', 0)",
            tenant_id,
            slug,
        )
        return tenant_id, slug

    async def person(
        self,
        *roles: str,
        email: str | None = None,
        tenant: tuple[UUID, str] | None = None,
        has_password: bool = True,
    ) -> Person:
        """Make somebody, in a tenant of their own unless one is named."""
        tenant = tenant or await self.tenant()
        user_id = ids.new()
        email = email or f"someone-{user_id.hex}@example.com"
        await self.admin.execute(
            "INSERT INTO crossdock.users (tenant_id, id, email, name, password_hash, roles)"
            " VALUES ($1, $2, $3, 'Some One', $4, $5)",
            tenant[0],
            user_id,
            email,
            await self.password_hash() if has_password else None,
            list(roles or ("owner",)),
        )
        await self.admin.execute(
            "INSERT INTO crossdock.logins (tenant_id, user_id, email_hash) VALUES ($1, $2, $3)",
            tenant[0],
            user_id,
            emails.hash_of(email),
        )
        return Person(self, tenant, user_id, email)

    async def password_hash(self) -> str:
        """Return the hash of everybody's password, made once."""
        if self._hash is None:
            self._hash = asyncio.ensure_future(self.identity.hasher.hash(PASSWORD))
        return await self._hash

    async def now(self) -> datetime:
        """Return this moment by the database's clock."""
        moment: datetime = await self.admin.fetchval("SELECT clock_timestamp()")
        return moment

    async def until_somebody_waits(self, count: int = 1) -> None:
        """Return when so many transactions wait for what others hold."""
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND usename IN ('crossdock_app', 'crossdock_control')"
        )
        async with asyncio.timeout(20):
            while await self.admin.fetchval(waiting) < count:
                await asyncio.sleep(0.005)

    async def outbox_of(self, person: Person) -> list[tuple[str, str]]:
        """Return what gateways are told of a person's tenant, in order."""
        rows = await self.admin.fetch(
            "SELECT topic, key FROM crossdock.outbox WHERE tenant_id = $1 ORDER BY id",
            person.tenant_id,
        )
        return [(row["topic"], row["key"]) for row in rows]

    async def now_as(self, table: str, row_id: UUID, column: str) -> None:
        """Write this moment into a row."""
        await self.change(table, row_id, {column: await self.now()})

    async def change(self, table: str, row_id: UUID, values: dict[str, Any]) -> None:
        """Change a row."""
        changes = ", ".join(f"{name} = ${at}" for at, name in enumerate(values, 2))
        statement = f"UPDATE crossdock.{table} SET {changes} WHERE id = $1"  # noqa: S608 - of tests
        await self.admin.execute(statement, row_id, *values.values())


def new_address() -> str:
    """Return an address that nobody else has."""
    number = next(_numbers)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
