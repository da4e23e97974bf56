"""People, keys and roles of tenants, over the REST API in this process on a real database."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from crossdock import ids
from crossdock.mail.model import Mail
from tests.beds.crowd import Crowd, Member
from tests.integration.rest.conftest import (
    Caller,
    admin,
    anonymous,
    app,
    connect,
    crowd,
    database,
    identity,
    new_tenant,
)

__all__ = [
    "admin",
    "anonymous",
    "app",
    "connect",
    "crowd",
    "database",
    "identity",
    "new_tenant",
]


class House:
    """A tenant of one test's own, and doors to it."""

    def __init__(self, caller: Caller, crowd: Crowd, connect: Any, admin: Any) -> None:
        self.tenant_id = caller.tenant_id
        self.key = caller.http
        """With every permission, and nobody behind it."""
        self.crowd = crowd
        self.connect = connect
        self.admin = admin

    async def member(self, *roles: str, **options: Any) -> Member:
        """Make a user."""
        return await self.crowd.user(self.tenant_id, *roles, **options)

    def door(self, member: Member) -> httpx.AsyncClient:
        """Return a client with a user's token."""
        client: httpx.AsyncClient = self.connect(member.token)
        return client

    async def role(self, name: str, *permissions: str, inherits: tuple[str, ...] = ()) -> str:
        """Make a role with the key that may do everything; return its path."""
        body = {"name": name, "permissions": list(permissions), "inherits": list(inherits)}
        answer = await self.key.post("/v1/roles", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"])

    async def api_key(self, by: httpx.AsyncClient, *permissions: str, **more: Any) -> Any:
        """Make a key; return the answer's body."""
        body = {"name": "k", "permissions": list(permissions), **more}
        answer = await by.post("/v1/api-keys", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def audited(self, action: str) -> list[Any]:
        """Return the entries of an action."""
        rows: list[Any] = await self.admin.fetch(
            "SELECT * FROM crossdock.audit WHERE tenant_id = $1 AND action = $2 ORDER BY id",
            self.tenant_id,
            action,
        )
        return rows

    async def announced(self, topic: str) -> list[str]:
        """Return the keys of the outbox's rows of a topic."""
        rows = await self.admin.fetch(
            "SELECT key FROM crossdock.outbox WHERE tenant_id = $1 AND topic = $2 ORDER BY id",
            self.tenant_id,
            topic,
        )
        return [row["key"] for row in rows]


@pytest.fixture
async def house(new_tenant: Any, crowd: Crowd, connect: Any, admin: Any) -> House:
    """A tenant of one test's own."""
    return House(await new_tenant(), crowd, connect, admin)


@pytest.fixture
def letters(admin: Any, identity: Any) -> Callable[[UUID], Awaitable[list[Mail]]]:
    """Opens a tenant's letters, oldest first."""

    async def read(tenant_id: UUID) -> list[Mail]:
        rows = await admin.fetch(
            "SELECT id, sealed FROM crossdock.mails WHERE tenant_id = $1 ORDER BY id", tenant_id
        )
        return [identity.postbox.open(tenant_id, row["id"], row["sealed"]) for row in rows]

    return read


def path_of(kind: ids.Kind, folder: str, found: UUID) -> str:
    """Return where the API shows something."""
    return f"/v1/{folder}/{ids.encode(kind, found)}"
