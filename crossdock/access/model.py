"""What crosses the boundary of access control."""

from datetime import datetime
from uuid import UUID

import msgspec

from crossdock.tenancy.model import TenantState


class Principal(msgspec.Struct, frozen=True):
    """Who is asking: a key that was verified within the last second."""

    tenant_id: UUID
    tenant_state: TenantState
    key_id: UUID
    permissions: frozenset[str]


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
