"""Sources and what is done with them: the services behind their part of the API."""

from typing import Any, Protocol

from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.delivery.guard import Guard
from crossdock.inbound.events.service import Events
from crossdock.inbound.refusals import Refusals
from crossdock.inbound.sources.service import Sources
from crossdock.secrets.payloads import KeyStore
from crossdock.secrets.seal import Sealer
from crossdock.simulations import Simulations
from crossdock.simulations.arrivals import Arrivals
from crossdock.transforms.service import Sandbox
from gateway.asgi import Application
from gateway.test_sends import TestSends


class Runtime(Protocol):
    """The part of a gateway's runtime that sources work with."""

    @property
    def database(self) -> Databases:
        """Opened with the role `app`."""

    @property
    def ingest(self) -> Application:
        """The application below `/in/`: test sends go through it."""


def services(
    settings: Settings,
    runtime: Runtime,
    events: Events,
    data_keys: KeyStore,
    guard: Guard,
    *,
    sandbox: Sandbox,
) -> dict[str, Any]:
    """Return the services by the names under which controllers ask for them.

    Raises:
        ConfigurationError: a key that seals secrets is missing or malformed.
    """
    keys, database = settings.keys, runtime.database
    sealer = Sealer.from_text(keys.sources, setting="CROSSDOCK_KEYS__SOURCES")
    destinations = Sealer.from_text(keys.destinations, setting="CROSSDOCK_KEYS__DESTINATIONS")
    sources = Sources(
        database,
        sealer,
        max_body_bytes=settings.gateway.max_body_bytes,
        data_keys=data_keys,
    )
    arrivals = Arrivals(sources, events, public_url=settings.gateway.public_url.rstrip("/"))
    simulations = Simulations(
        database,
        arrivals,
        destinations,
        guard,
        sandbox,
        timeout_s=settings.delivery.timeout_s,
    )
    return {
        "refusals": Refusals(database),
        "simulations": simulations,
        "sources": sources,
        "test_sends": TestSends(arrivals, runtime.ingest),
    }
