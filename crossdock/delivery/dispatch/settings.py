"""How a dispatcher works."""

import msgspec

from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.dispatch.lines import Caps


class DispatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much, how long, how often."""

    caps: Caps
    lease_s: float = 60.0
    timeout_s: float = 15.0
    """The longest an attempt may take, whatever a destination asks for."""
    poll_s: float = 1.0
    """How late, at most, an idle dispatcher notices what others made due."""
    policy: RetryPolicy | None = None
    """For destinations that have none of their own."""
    held_bytes: int = 64 * 1024 * 1024
    """Bodies held in memory; nothing more is taken in above it."""
