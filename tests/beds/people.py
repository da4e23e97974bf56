"""Users, sessions and roles behind their services' backs, and how their tokens end."""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from crossdock import ids
from crossdock.db import Database
from crossdock.outbox import store
from crossdock.outbox.store import Topic


class Token(NamedTuple):
    """What an access token says."""

    tenant_id: UUID
    user_id: UUID
    session_id: UUID
    issued_at: float


class People:
    """One tenant's, on its shard."""

    def __init__(self, database: Database, tenant_id: UUID) -> None:
        self.database = database
        self.tenant_id = tenant_id

    async def token(self, user_id: UUID | None = None) -> Token:
        """Sign a user in, a new one unless told; return what the access token would say."""
        if user_id is None:
            user_id = ids.new()
            await self._do(
                "INSERT INTO crossdock.users (tenant_id, id, email, name)"
                " VALUES (:tenant, :id, :email, 'A user')",
                id=user_id,
                email=f"{user_id}@example.com",
            )
        session_id = ids.new()
        issued_at = await self._do(
            "INSERT INTO crossdock.sessions (tenant_id, id, user_id, idle_ends_at, ends_at)"
            " VALUES (:tenant, :id, :user, now() + interval '1 day', now() + interval '9 days')"
            " RETURNING extract(epoch FROM clock_timestamp())::float8",
            id=session_id,
            user=user_id,
        )
        return Token(self.tenant_id, user_id, session_id, issued_at)

    async def revoke(self, token: Token) -> None:
        """End a session."""
        await self._change(
            "session",
            token.session_id,
            "UPDATE crossdock.sessions SET revoked_at = clock_timestamp() WHERE id = :id",
        )

    async def end_tokens(self, token: Token) -> None:
        """End all of a user's tokens of before now."""
        await self._change(
            "user",
            token.user_id,
            "UPDATE crossdock.users SET not_before = clock_timestamp() WHERE id = :id",
        )

    async def remove(self, token: Token) -> None:
        """Remove a user, whose sessions go along."""
        await self._change("user", token.user_id, "DELETE FROM crossdock.users WHERE id = :id")

    async def open_support(self, minutes: float = 60) -> Token:
        """Let an operator in; return what the support token would say."""
        token = Token(self.tenant_id, ids.new(), ids.new(), 1.0)
        async with self.database.operator(self.tenant_id) as conn:
            await conn.execute(
                "INSERT INTO crossdock.support_accesses"
                " (tenant_id, id, operator_id, operator, reason, ends_at)"
                " VALUES ($1, $2, $3, 'o@example.com', 'why', now() + make_interval(mins => $4))",
                *(self.tenant_id, token.session_id, token.user_id, minutes),
            )
        return token

    async def end_support(self, token: Token) -> None:
        """See the operator out."""
        await self._change(
            "session",
            token.session_id,
            "UPDATE crossdock.support_accesses SET ended_at = now() WHERE id = :id",
        )

    async def end_all_tokens(self) -> None:
        """End every token of the tenant, as an operator."""
        await self.as_operator(
            "UPDATE crossdock.tenants SET not_before = clock_timestamp(), version = version + 1"
            " WHERE id = $1"
        )

    async def block(self, for_s: float) -> None:
        """Use up the day's quota."""
        await self.as_operator(
            "UPDATE crossdock.tenants SET version = version + 1,"
            " blocked_until = now() + make_interval(secs => $2) WHERE id = $1",
            for_s,
        )

    async def as_operator(self, statement: str, *arguments: object) -> None:
        """Change the tenant; its id is the statement's first argument."""
        async with self.database.operator(self.tenant_id) as conn:
            await conn.execute(statement, self.tenant_id, *arguments)
            await store.add_tenant(conn, self.tenant_id)

    async def add_role(self, name: str, *permissions: str, inherits: tuple[str, ...] = ()) -> None:
        """Make a role of the tenant's own."""
        await self._change(
            "tenant",
            self.tenant_id,
            "INSERT INTO crossdock.roles (tenant_id, id, name, permissions, inherits)"
            " VALUES (:tenant, gen_random_uuid(), :name, :permissions, :inherits)",
            name=name,
            permissions=list(permissions),
            inherits=list(inherits),
        )

    async def change_role(self, name: str, *permissions: str) -> None:
        """Give a role other permissions."""
        await self._change(
            "tenant",
            self.tenant_id,
            "UPDATE crossdock.roles SET permissions = :permissions WHERE name = :name",
            name=name,
            permissions=list(permissions),
        )

    async def remove_role(self, name: str) -> None:
        """Remove a role."""
        statement = "DELETE FROM crossdock.roles WHERE name = :name"
        await self._change("tenant", self.tenant_id, statement, name=name)

    async def _do(self, statement: str, **values: Any) -> Any:
        async with self.database.tenant(self.tenant_id) as conn:
            done = await conn.execute(text(statement), {"tenant": self.tenant_id} | values)
            return done.scalar_one() if done.returns_rows else None

    async def _change(self, topic: Topic, one: UUID, statement: str, **values: Any) -> None:
        wanted = {name for name in ("tenant", "id") if f":{name}" in statement}
        known = {"tenant": self.tenant_id, "id": one}
        async with self.database.tenant(self.tenant_id) as conn:
            await conn.execute(text(statement), {name: known[name] for name in wanted} | values)
            await store.add(conn, self.tenant_id, topic, str(one))
