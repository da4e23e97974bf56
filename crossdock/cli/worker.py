"""`crossdock worker`: the NATS side alone."""

from typing import Annotated, get_args

import msgspec
import typer

from crossdock import config
from crossdock.config import WorkerRole
from crossdock.errors import ConfigurationError
from crossdock.secrets import keys


def worker(
    roles: Annotated[
        str | None,
        typer.Option(help=f"What it does, separated by commas: {', '.join(get_args(WorkerRole))}."),
    ] = None,
) -> None:
    """Run a worker beside your own NATS and PostgreSQL.

    Settings come from CROSSDOCK_… variables or the file that CROSSDOCK_CONFIG names.
    """
    settings = config.load()
    if roles is not None:
        chosen = tuple(known for known in get_args(WorkerRole) if known in roles.split(","))
        if len(chosen) != len(roles.split(",")):
            raise ConfigurationError(f"--roles takes: {', '.join(get_args(WorkerRole))}.")
        settings = msgspec.structs.replace(
            settings, worker=msgspec.structs.replace(settings.worker, roles=chosen)
        )
    keys.check_worker(settings.keys, settings.worker.roles)
    from workers.app import run  # noqa: PLC0415 - wrong settings are told before all this is loaded

    run(settings)
