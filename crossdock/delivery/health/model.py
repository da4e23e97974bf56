"""What is told of a destination's health."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

Standing = Literal["closed", "open", "half-open", "forced-open", "off", "unknown"]
"""The breaker's state; opened by hand; switched off; or not to be seen from here right now."""


class DestinationHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a destination is called, and since when."""

    destination_id: UUID
    breaker: Standing
    since: datetime | None
    until: datetime | None
    calls: int
    failed: int
    paused_until: datetime | None
    waiting: int
    is_capped: bool
