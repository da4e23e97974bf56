"""What became of one event, from its arrival to the last of its deliveries."""

from crossdock.delivery.timeline.service import Timelines

__all__ = ["Timelines"]
