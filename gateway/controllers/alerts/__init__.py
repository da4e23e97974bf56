"""`/v1/alerts`: what a tenant was told of, and who is told of what."""

from gateway.controllers.alerts.doors import AlertController
from gateway.controllers.alerts.settings import AlertSettingsController

__all__ = ["AlertController", "AlertSettingsController"]
