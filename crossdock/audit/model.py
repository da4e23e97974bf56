"""What crosses the boundary of the audit."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

ActorKind = Literal["user", "key", "operator", "system", "anonymous"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done, or tried, in a tenant."""

    action: str
    """`subject.verb`, for example `user.login` or `role.create`; refused attempts end in
    `.refused`."""
    actor_kind: ActorKind = "system"
    actor_id: UUID | None = None
    target: str | None = None
    """What it was done to, as an id of the wire."""
    address: str | None = None
    """Where the caller was."""
    detail: dict[str, Any] = {}
    """What else is worth knowing; never a secret."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it is kept."""

    tenant_id: UUID
    id: UUID
    actor_kind: ActorKind
    actor_id: UUID | None
    action: str
    target: str | None
    address: str | None
    detail: dict[str, Any]
    created_at: datetime


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are wanted; all conditions hold together."""

    action: str | None = None
    """An action, or with a `.` at its end all actions of a subject."""
    actor_id: UUID | None = None
