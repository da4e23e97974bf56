"""`/v1/destinations`: where events are delivered to."""

from gateway.controllers.destinations.bodies import DestinationCreate, DestinationOut
from gateway.controllers.destinations.doors import DestinationController
from gateway.controllers.destinations.health import DestinationHealthController
from gateway.controllers.destinations.inboxes import InboxController
from gateway.controllers.destinations.stats import DestinationStatsController

__all__ = [
    "DestinationController",
    "DestinationCreate",
    "DestinationHealthController",
    "DestinationOut",
    "DestinationStatsController",
    "InboxController",
]
