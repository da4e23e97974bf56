"""The feed of tenants whose destinations, or whose own state, changed; triggers write it."""

from crossdock.inbound.changes.store import FEED_S, NOTHING_YET, since

__all__ = ["FEED_S", "NOTHING_YET", "since"]
