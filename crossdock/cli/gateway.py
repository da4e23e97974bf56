"""`crossdock gateway`: the HTTP side alone."""

from crossdock import config
from crossdock.secrets import keys


def gateway() -> None:
    """Run a gateway beside your own NATS and PostgreSQL.

    Settings come from CROSSDOCK_… variables or the file that CROSSDOCK_CONFIG names.
    """
    settings = config.load()
    # Its processes would each find out, and be started again to find out once more.
    keys.check_gateway(settings.keys)
    from gateway.server import run  # noqa: PLC0415 - wrong settings are told before all this is loaded

    run(settings)
