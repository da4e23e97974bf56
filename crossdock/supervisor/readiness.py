"""Asking one of our programs whether it can do its work."""

import http.client
from typing import Final
from urllib.parse import urlsplit

from crossdock.config import Settings

READY: Final = 200
TIMEOUT_S: Final = 2.0


def gateway_url(settings: Settings) -> str:
    """Return what a gateway on this machine answers 200 to once it is ready."""
    where = settings.gateway
    return f"http://{reachable(where.host)}:{where.port}/health/ready"


def worker_url(settings: Settings) -> str:
    """Return what a worker on this machine answers 200 to once it is ready."""
    where = settings.worker
    return f"http://{reachable(where.metrics_host)}:{where.metrics_port}/health/ready"


def is_ready(url: str) -> bool:
    """Ask; no answer in two seconds is a no."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == READY
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def reachable(host: str) -> str:
    """Return where a server that may listen everywhere can be asked."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
