"""A person, as those see them who must decide whether it is that person."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from crossdock.tenancy.model import TenantState


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A user's row and the state of their tenant, read together."""

    tenant_id: UUID
    id: UUID
    email: str
    state: Literal["active", "disabled"]
    roles: tuple[str, ...]
    password_hash: str | None
    """`None` where this user has no password and signs in otherwise."""
    totp_sealed: bytes | None
    totp_confirmed_at: datetime | None
    totp_step: int | None
    """The last step of 30 s whose code was used."""
    tenant_slug: str
    tenant_state: TenantState

    @property
    def has_second_factor(self) -> bool:
        """Whether a code is asked for, besides the password."""
        return self.totp_sealed is not None and self.totp_confirmed_at is not None


class Whereabouts(msgspec.Struct, frozen=True):
    """Where an account is."""

    tenant_id: UUID
    user_id: UUID


class Place(msgspec.Struct, frozen=True):
    """A tenant's slug, and the address that a user has in it."""

    slug: str
    email: str | None
