"""The part of a gateway's runtime that the REST API needs, without a broker."""

import msgspec

from crossdock.db import Databases
from crossdock.health import Health
from gateway.app import starting
from gateway.asgi import Application
from gateway.identity import Identity


def _well() -> Health:
    """Return the health of what asks nothing."""
    return Health({}, required=frozenset())


class OpenRuntime(msgspec.Struct, frozen=True):
    """The part of a gateway's runtime that the REST API needs."""

    database: Databases
    identity: Identity
    health: Health = msgspec.field(default_factory=_well)
    ingest: Application = starting("http://127.0.0.1")
    """Webhooks have servers of their own in these tests; see `tests/integration/ingest`."""
