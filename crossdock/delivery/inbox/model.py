"""What crosses the boundary of inboxes."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

MOST_KEPT: Final = 1_000
"""Messages of one inbox, the newest."""
KEPT_FOR: Final = timedelta(days=7)
BODY_KEPT: Final = 64 * 1024
"""Bytes of a body, its first."""


class InboxMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that came to an inbox, whatever it answered."""

    tenant_id: UUID
    destination_id: UUID
    id: UUID
    """Its moment is in it."""
    event_id: UUID
    outcome: str
    """The status it answered, or `reset` or `hang`."""
    headers: list[tuple[str, str]]
    body: bytes
    """Empty where the event's payload is sealed: what is sealed is kept plain nowhere."""
