"""`/v1/deliveries` and `/v1/dead-letters`: listed, shown, made again, cancelled."""

from gateway.controllers.deliveries.cancelling import (
    CancelController,
    CancelPendingController,
    CancelSomeController,
)
from gateway.controllers.deliveries.dead_letters import DeadLetterController
from gateway.controllers.deliveries.doors import DeliveryController

__all__ = [
    "CancelController",
    "CancelPendingController",
    "CancelSomeController",
    "DeadLetterController",
    "DeliveryController",
]
