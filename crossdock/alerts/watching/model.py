"""What a watcher sees, and what it makes of it."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from crossdock.alerts.model import Alert, AlertEdit, Watched

Because = Literal["answers", "enabled", "fewer", "disabled", "paused", "deleted"]
"""Why an alert has passed. After `answers`, `enabled` and `fewer` all is well again; the others are
somebody's doing, and nobody gets a letter of them."""

Place = tuple[UUID, UUID]
"""A tenant and something of it: how far a watcher has come."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at of a destination."""

    tenant_id: UUID
    id: UUID
    name: str
    is_active: bool
    """Whether its tenant is: of others nothing is raised."""
    state: str
    disabled_reason: str | None
    disabled_at: datetime | None
    failing_since: datetime | None
    dead: int
    """Its dead letters of the last hour, counted up to the tenant's threshold; alerts are none."""
    wishes: AlertEdit


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at of a source."""

    tenant_id: UUID
    id: UUID
    name: str
    is_active: bool
    state: str
    refused: int
    """About so many of its webhooks in the last hour."""
    wishes: AlertEdit


class Last(msgspec.Struct, frozen=True):
    """How the last attempt for a destination ended, as far as deliveries that are left tell."""

    status: int | None = None
    error: str | None = None


class Raise(msgspec.Struct, frozen=True, kw_only=True):
    """An alert to be raised."""

    tenant_id: UUID
    kind: Watched
    subject: UUID
    period: str
    detail: dict[str, Any]


class Resolve(msgspec.Struct, frozen=True):
    """An alert that has passed."""

    alert: Alert
    because: Because
