"""`crossdock gateway`: the HTTP side alone."""

from crossdock import config


def gateway() -> None:
    """Run a gateway beside your own NATS and PostgreSQL.

    Settings come from CROSSDOCK_… variables or the file that CROSSDOCK_CONFIG names.
    """
    settings = config.load()
    from gateway.server import run  # noqa: PLC0415 - wrong settings are told before all this is loaded

    run(settings)
