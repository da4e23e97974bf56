"""The duty that raises alerts from what is in the database, and resolves what has passed."""

from crossdock.alerts.watching.service import Watcher

__all__ = ["Watcher"]
