"""`crossdock gateway`: the HTTP side alone."""

from crossdock import config
from crossdock.secrets.seal import Sealer


def gateway() -> None:
    """Run a gateway beside your own NATS and PostgreSQL.

    Settings come from CROSSDOCK_… variables or the file that CROSSDOCK_CONFIG names.
    """
    settings = config.load()
    # Its processes would each find out, and be started again to find out once more.
    Sealer.from_text(settings.keys.sources, setting="CROSSDOCK_KEYS__SOURCES")
    Sealer.from_text(settings.keys.destinations, setting="CROSSDOCK_KEYS__DESTINATIONS")
    from gateway.server import run  # noqa: PLC0415 - wrong settings are told before all this is loaded

    run(settings)
