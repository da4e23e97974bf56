"""The duty that tells of alerts as events, to destinations that ask for them."""

from crossdock.alerts.telling.service import Herald

__all__ = ["Herald"]
