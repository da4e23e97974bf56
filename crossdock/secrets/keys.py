"""Which keys each program must have: checked before anything is waited for."""

from collections.abc import Collection, Iterable
from typing import Final

from crossdock.config import KeySettings, WorkerRole
from crossdock.secrets.seal import Sealer

GATEWAY: Final = ("sources", "destinations", "identity", "mail", "answers")

_WORKER: Final[dict[WorkerRole, str]] = {"webhooks": "destinations", "maintenance": "mail"}


def check_gateway(keys: KeySettings) -> None:
    """Check the keys of a gateway.

    Raises:
        ConfigurationError: one is missing or malformed.
    """
    _check(keys, GATEWAY)


def check_worker(keys: KeySettings, roles: Collection[WorkerRole]) -> None:
    """Check the keys of a worker that has these roles.

    Raises:
        ConfigurationError: one is missing or malformed.
    """
    _check(keys, [_WORKER[role] for role in roles])


def _check(keys: KeySettings, names: Iterable[str]) -> None:
    for name in names:
        Sealer.from_text(getattr(keys, name), setting=f"CROSSDOCK_KEYS__{name.upper()}")
