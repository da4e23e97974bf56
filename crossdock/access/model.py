"""What crosses the boundary of access control."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from crossdock.tenancy.model import TenantState


class Actor(msgspec.Struct, frozen=True):
    """Who does something."""

    kind: Literal["user", "key", "operator"]
    """`operator`: one of the platform's people, inside a tenant by support access."""
    id: UUID


class Principal(msgspec.Struct, frozen=True):
    """Who is asking, and what they may do: verified within the last second."""

    tenant_id: UUID
    tenant_state: TenantState
    actor: Actor
    permissions: frozenset[str]
    session_id: UUID | None = None
    """Of a user's token; of an operator's, the support access."""
    roles: tuple[str, ...] = ()
    """Of a user or an operator."""
    requests_per_minute: int | None = None
    """A key's own limit, if it has one."""


class ApiKey(msgspec.Struct, frozen=True):
    """An API key without its secret."""

    tenant_id: UUID
    id: UUID
    name: str
    permissions: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To within five minutes."""
    revoked_at: datetime | None
    created_by: UUID | None = None
    """The user who made it; none where an operator did."""
    rotated_to: UUID | None = None
    """The key that takes its place."""
    requests_per_minute: int | None = None
    """Its own limit, where that is below the one that every key has."""

    @property
    def version(self) -> int:
        """How often it was changed, and one: it can be rotated, and it can be revoked."""
        return 1 + (self.rotated_to is not None) + (self.revoked_at is not None)


class NewApiKey(msgspec.Struct, frozen=True):
    """A key just made, with the text that is never shown again."""

    key: ApiKey
    text: str


class StoredKey(msgspec.Struct, frozen=True):
    """What verification reads."""

    secret_hash: bytes
    permissions: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    tenant_state: TenantState
    created_by: UUID | None = None
    creator_roles: tuple[str, ...] | None = None
    """Of the user who made it, by now; `None` where that one is disabled or gone."""
    requests_per_minute: int | None = None
