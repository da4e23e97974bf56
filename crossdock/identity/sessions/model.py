"""What crosses the boundary of sessions."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from crossdock.tenancy.model import TenantState

EndReason = Literal[
    "logout",
    "revoked",
    "reuse",
    "password-changed",
    "password-reset",
    "user-disabled",
    "user-removed",
]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in, and the family of refresh tokens that came of it."""

    tenant_id: UUID
    id: UUID
    user_id: UUID
    created_at: datetime
    last_used_at: datetime
    idle_ends_at: datetime
    """When it ends unless it is gone on with."""
    ends_at: datetime
    """When it ends in any case."""
    revoked_at: datetime | None = None
    user_agent: str = ""
    address: str = ""


class Locked(msgspec.Struct, frozen=True):
    """A session that is held, and a moment after its user was."""

    session: Session
    at: datetime


class Step(msgspec.Struct, frozen=True):
    """A refresh token as it is kept."""

    used_at: datetime | None
    successor_used: bool
    """Whether the token that came of it was used, too."""


class TokenPair(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody signed in holds."""

    access_token: str
    expires_in: int
    """Seconds."""
    refresh_token: str
    refresh_expires_at: datetime
    session_id: UUID


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether a token still counts; `None` where there is no such row."""

    tenant_state: TenantState
    tenant_not_before: datetime | None
    user_state: Literal["active", "disabled"] | None
    user_not_before: datetime | None
    session_user: UUID | None
    session_ended: bool
