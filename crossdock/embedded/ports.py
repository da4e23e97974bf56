"""Free ports on loopback.

They are taken below the ranges that systems hand to outgoing connections (32768 up on Linux, 49152
on macOS): there, a client that keeps dialling a dead server would sooner or later be given that
very port, connect to itself and keep the server from coming back.
"""

import random
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"
FIRST: Final = 20_000
LAST: Final = 32_000
TRIES: Final = 200


def obstacle(port: int, host: str = LOOPBACK) -> str | None:
    """Return why no server of ours could listen there now, in the system's words."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return None


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether a server could listen there now."""
    return obstacle(port, host) is None


def free_port(host: str = LOOPBACK) -> int:
    """Return a port nobody listens on; another process may still be quicker to take it.

    Raises:
        OSError: nothing is free.
    """
    for port in random.sample(range(FIRST, LAST), TRIES):
        if is_free(port, host):
            return port
    raise OSError(f"No free port on {host} between {FIRST} and {LAST}.")
