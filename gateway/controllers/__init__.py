"""One module a resource: a controller decodes, calls one service and encodes."""

from typing import Final

from gateway.controllers.api_keys import ApiKeyController
from gateway.controllers.deliveries import (
    DeadLetterController,
    DeliveryController,
    EventDeliveryController,
)
from gateway.controllers.destinations import DestinationController
from gateway.controllers.events import EventController
from gateway.controllers.health import HealthController
from gateway.controllers.replays import ReplayController
from gateway.controllers.sources import SourceController
from gateway.controllers.tenant import TenantController

CONTROLLERS: Final = (
    ApiKeyController,
    DeadLetterController,
    DeliveryController,
    DestinationController,
    EventController,
    EventDeliveryController,
    HealthController,
    ReplayController,
    SourceController,
    TenantController,
)
