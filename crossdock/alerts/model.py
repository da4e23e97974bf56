"""What crosses the boundary of alerts."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a tenant should know without looking."""

    tenant_id: UUID
    id: UUID
    kind: str
    """What sort of thing, for example `quota`."""
    subject: str
    """Of what, for example `sources`."""
    level: int
    """How far it has gone; of quotas, per cent."""
    period: str
    """The time it is about, for example `2026-11-23`; empty where it is about none."""
    detail: dict[str, Any]
    created_at: datetime
    resolved_at: datetime | None
    """When it had passed; `None` while it has not."""


class Owner(msgspec.Struct, frozen=True):
    """Whom alerts are told to."""

    email: str
    tenant: str
    """The tenant's name."""
