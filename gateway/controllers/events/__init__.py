"""`/v1/events`: found, published, followed live, and what became of each."""

from gateway.controllers.events.deliveries import EventDeliveryController
from gateway.controllers.events.doors import EventController
from gateway.controllers.events.stream import StreamController
from gateway.controllers.events.timeline import EventTimelineController

__all__ = [
    "EventController",
    "EventDeliveryController",
    "EventTimelineController",
    "StreamController",
]
