"""People as signing up, inviting and signing in would leave them, without the ceremony."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from crossdock import ids
from crossdock.identity import emails
from crossdock.identity.tokens import Claims, Issuer
from crossdock.tenancy.rules import PLATFORM


class Member(msgspec.Struct):
    """A user who is signed in."""

    tenant_id: UUID
    id: UUID
    email: str
    session_id: UUID
    token: str

    @property
    def wire_id(self) -> str:
        """The id as the API shows it."""
        return ids.encode("usr", self.id)

    @property
    def path(self) -> str:
        """Where the API shows them."""
        return f"/v1/users/{self.wire_id}"


class Crowd:
    """Makes them."""

    def __init__(self, admin: asyncpg.Connection, issuer: Issuer) -> None:
        self._admin = admin
        self._issuer = issuer

    async def user(
        self, tenant_id: UUID, *roles: str, state: str = "active", email: str | None = None
    ) -> Member:
        """Insert a user with a session, and issue a token of it."""
        user_id = ids.new()
        email = email or f"u-{user_id.hex}@example.com"
        await self._admin.execute(
            "INSERT INTO crossdock.users (tenant_id, id, email, name, roles, state)"
            " VALUES ($1, $2, $3, 'Somebody', $4, $5)",
            tenant_id,
            user_id,
            email,
            list(roles),
            state,
        )
        await self._admin.execute(
            "INSERT INTO crossdock.logins (tenant_id, user_id, email_hash) VALUES ($1, $2, $3)",
            tenant_id,
            user_id,
            emails.hash_of(email),
        )
        member = Member(tenant_id, user_id, email, ids.new(), "")
        await self.sign_in(member)
        return member

    async def operator(self, role: str = "platform-admin") -> Member:
        """Insert an operator."""
        return await self.user(PLATFORM, role)

    async def sign_in(self, member: Member) -> str:
        """Begin a session of a user and return its token."""
        member.session_id = ids.new()
        await self._admin.execute(
            "INSERT INTO crossdock.sessions (tenant_id, id, user_id, idle_ends_at, ends_at)"
            " VALUES ($1, $2, $3, now() + interval '1 day', now() + interval '1 day')",
            member.tenant_id,
            member.session_id,
            member.id,
        )
        member.token = await self.token(member)
        return member.token

    async def token(self, member: Member) -> str:
        """Return a token of a user's session, as a refresh would issue it now."""
        row = await self._admin.fetchrow(
            "SELECT roles, clock_timestamp() AS now FROM crossdock.users"
            " WHERE tenant_id = $1 AND id = $2",
            member.tenant_id,
            member.id,
        )
        now: datetime = row["now"]
        return self._issuer.issue(
            Claims(
                tenant_id=member.tenant_id,
                user_id=member.id,
                session_id=member.session_id,
                roles=tuple(row["roles"]),
                issued_at=now.timestamp(),
                expires_at=(now + timedelta(minutes=10)).timestamp(),
            )
        )

    async def row(self, member: Member) -> Any:
        """Return a user's row."""
        return await self._admin.fetchrow(
            "SELECT * FROM crossdock.users WHERE tenant_id = $1 AND id = $2",
            member.tenant_id,
            member.id,
        )
