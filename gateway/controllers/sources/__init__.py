"""`/v1/sources`: doors for webhooks, their secrets, and trying them."""

from gateway.controllers.sources.bodies import SourceOut
from gateway.controllers.sources.doors import SourceController
from gateway.controllers.sources.secrets import SourceSecretController
from gateway.controllers.sources.trying import SourceTrialController

__all__ = ["SourceController", "SourceOut", "SourceSecretController", "SourceTrialController"]
