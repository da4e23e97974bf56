"""What a herald has to tell."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from crossdock.alerts.model import Alert

Phase = Literal["raised", "resolved"]


class Untold(msgspec.Struct, frozen=True):
    """An alert, and what of it is to be told."""

    alert: Alert
    phase: Phase
    is_wanted: bool
    """Whether any destination asks for such events, and the tenant has not muted the kind."""


class AlertPayload(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of `crossdock.alert.raised` and `crossdock.alert.resolved`."""

    id: str
    """`alt_…`."""
    kind: str
    subject: str
    """What it is about: the id of a destination or a source, or a quota's name."""
    name: str
    """Its name, for people."""
    level: int
    period: str | None
    state: Literal["open", "resolved"]
    detail: dict[str, Any]
    created_at: datetime
    resolved_at: datetime | None
