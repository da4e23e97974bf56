"""What crosses the boundary of signing up."""

from datetime import datetime
from uuid import UUID

import msgspec


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody sends who wants a tenant."""

    email: str
    password: str
    name: str
    """Their own."""
    tenant_name: str
    slug: str | None = None
    """Made from the tenant's name unless chosen."""

    def __repr__(self) -> str:
        return f"Form(slug={self.slug!r})"


class Signup(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant to be; its id and its owner's are given already."""

    tenant_id: UUID
    user_id: UUID
    email: str
    name: str
    tenant_name: str
    slug: str
    password_hash: str
    token_hash: bytes
    expires_at: datetime
    created_at: datetime
    verified_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Signup(tenant_id={self.tenant_id!r}, slug={self.slug!r})"
