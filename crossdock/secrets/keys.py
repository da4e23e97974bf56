"""Which keys each program must have: checked before anything is waited for."""

from collections.abc import Collection, Iterable
from typing import Final

from crossdock.config import KeySettings, WorkerRole
from crossdock.secrets.seal import Sealer

GATEWAY: Final = ("sources", "destinations", "identity", "mail", "answers", "payloads")

_WORKER: Final[dict[WorkerRole, tuple[str, ...]]] = {
    "webhooks": ("destinations", "payloads"),
    "maintenance": ("mail",),
}


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
    _check(keys, [name for role in roles for name in _WORKER[role]])


def _check(keys: KeySettings, names: Iterable[str]) -> None:
    for name in names:
        Sealer.from_text(getattr(keys, name), setting=f"CROSSDOCK_KEYS__{name.upper()}")
