"""What each program of the stack is told: its settings, and of the secrets only what it uses."""

import os
from collections.abc import Collection, Mapping
from typing import Any, Final, get_args

import msgspec

from crossdock.config import PREFIX, DatabaseRole, KeySettings, MailSettings, Settings, write_path

GATEWAY_ROLES: Final[frozenset[DatabaseRole]] = frozenset(
    {
        "app",
        "directory",
        "control",
        "operator",
    }
)
WORKER_ROLES: Final[frozenset[DatabaseRole]] = frozenset(
    {
        "app",
        "ingest",
        "dispatch",
        "maintenance",
        "control",
        "operator",
    }
)


def for_gateway(settings: Settings) -> Settings:
    """Return what a gateway needs: it reads across tenants as the directory only, sends no mail."""
    return msgspec.structs.replace(_with_roles(settings, GATEWAY_ROLES), mail=MailSettings())


def for_worker(settings: Settings) -> Settings:
    """Return what a worker needs: it never sees the key of sources' secrets."""
    keys = KeySettings(
        destinations=settings.keys.destinations,
        mail=settings.keys.mail,
        payloads=settings.keys.payloads,
    )
    return msgspec.structs.replace(_with_roles(settings, WORKER_ROLES), keys=keys)


def for_migration(settings: Settings, admin_url: str) -> Settings:
    """Return what a migration needs: every role's password, to set it, and an administrator."""
    database = msgspec.structs.replace(settings.database, admin_url=admin_url)
    return msgspec.structs.replace(
        settings, database=database, keys=KeySettings(), mail=MailSettings()
    )


def environment(settings: Settings, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a whole environment: ours for the settings, what was inherited for all else."""
    outer = os.environ if inherited is None else inherited
    kept = {name: value for name, value in outer.items() if not name.startswith(PREFIX)}
    return kept | dict(_flat(PREFIX, msgspec.to_builtins(settings, enc_hook=write_path)))


def _with_roles(settings: Settings, roles: Collection[DatabaseRole]) -> Settings:
    unknown = {f"{role}_password": None for role in get_args(DatabaseRole) if role not in roles}
    database = msgspec.structs.replace(settings.database, **unknown)
    return msgspec.structs.replace(settings, database=database)


def _flat(prefix: str, tree: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in tree.items():
        variable = f"{prefix}{name.upper()}"
        if isinstance(value, dict):
            pairs += _flat(f"{variable}__", value)
        elif isinstance(value, list | tuple):
            pairs.append((variable, ",".join(map(str, value))))
        elif isinstance(value, bool):
            pairs.append((variable, str(value).lower()))
        elif value is not None:
            pairs.append((variable, str(value)))
    return pairs
