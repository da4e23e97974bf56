"""The REST API: everything but ingest, as one Litestar application."""

from typing import Any, Protocol

import msgspec
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from crossdock.access.authentication import Authenticator
from crossdock.alerts.service import Alerts
from crossdock.audit.service import Audit
from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.delivery.cancel.service import Cancelling
from crossdock.delivery.destinations.service import Destinations
from crossdock.delivery.guard import Guard
from crossdock.delivery.health.service import DestinationsHealth, Outlook
from crossdock.delivery.inbox.service import Inboxes
from crossdock.delivery.replays.service import Replays
from crossdock.delivery.service import Deliveries
from crossdock.delivery.stats.service import Stats
from crossdock.delivery.timeline import Timelines
from crossdock.dry_runs import DryRuns
from crossdock.event_types.service import EventTypes
from crossdock.health import Health
from crossdock.idempotency.memory import Memory as AnswerMemory
from crossdock.idempotency.service import Hot, Idempotency
from crossdock.idempotency.vault import Vault
from crossdock.inbound.events.service import Events
from crossdock.inbound.publish.service import Publishing, Unconnected, Way
from crossdock.inbound.stream.hub import Hub
from crossdock.paging import Cursors
from crossdock.secrets.payloads import SETTING, TenantKeys
from crossdock.secrets.seal import Sealer
from crossdock.transforms.service import Sandbox
from gateway import (
    access,
    entity_tags,
    idempotency,
    identity,
    inbound,
    openapi,
    parameters,
    tenancy,
)
from gateway.asgi import Application
from gateway.auth import guard_with
from gateway.context import Scoped
from gateway.controllers import CONTROLLERS
from gateway.controllers.events.stream import show
from gateway.cookies import Browsers
from gateway.edge.addresses import Proxies
from gateway.edge.headers import headers_for
from gateway.errors import to_problem
from gateway.identity import Identity
from gateway.ingest.room import Room
from gateway.limits import Meter
from gateway.request import MAX_BODY_BYTES, ApiRequest


class Runtime(Protocol):
    """The part of a gateway's runtime that the REST API works with."""

    @property
    def database(self) -> Databases:
        """Opened with the role `app`."""

    @property
    def health(self) -> Health:
        """What `/health` answers from."""

    @property
    def ingest(self) -> Application:
        """The application below `/in/`: test sends go through it."""

    @property
    def identity(self) -> Identity:
        """What people sign in with."""


def create_rest(
    settings: Settings,
    runtime: Runtime,
    meter: Meter | None = None,
    answers: Hot | None = None,
    way: Way | None = None,
    *,
    outlook: Outlook | None = None,
) -> Litestar:
    """Return the application for an open runtime.

    Args:
        settings: all of them.
        runtime: what is open.
        meter: what requests are charged by; by default one of this application's own.
        answers: those of the last minutes; by default only what this application gave.
        way: leads to the broker; without it nothing can be published here.
        outlook: sees destinations' breakers; without it their state is unknown.

    Raises:
        ConfigurationError: a key that seals secrets is missing or malformed.
    """
    public_url = settings.gateway.public_url.rstrip("/")
    authenticator = Authenticator(
        runtime.database, environment=settings.environment, memory=runtime.identity.memory
    )
    memory, proxies = runtime.identity.memory, Proxies(settings.gateway.trusted_proxies)
    meter = meter or Meter.open(settings, memory.tenant)
    browsers = Browsers.from_text(
        settings.keys.identity, public_url, setting="CROSSDOCK_KEYS__IDENTITY"
    )
    services = _dependencies(settings, runtime)
    services["destinations_health"] = DestinationsHealth(runtime.database, outlook)
    services["publishing"] = Unconnected()
    if way is not None:
        services["publishing"] = Publishing(
            services["sources"],
            services["own_tenant"],
            way,
            services["payload_keys"],
            limits=meter.limits,
            settings=settings.gateway,
        )
    app = Litestar(
        CONTROLLERS,
        request_class=ApiRequest,
        request_max_body_size=MAX_BODY_BYTES,
        guards=[guard_with(authenticator, runtime.identity.tokens, meter, browsers)],
        middleware=[Scoped],
        before_request=parameters.check,
        before_send=[entity_tags.not_modified, headers_for(public_url)],
        exception_handlers={Exception: meter.charging(to_problem)},
        dependencies={name: _provide(one) for name, one in services.items()}
        | {"browsers": _provide(browsers)},
        state=State(
            {
                "body_timeout_s": settings.gateway.body_timeout_s,
                "cursors": _cursors(settings),
                "live": services["live"],
                "proxies": proxies,
                "public_url": public_url,
                "room": Room(settings.gateway.large_bodies_bytes),
                "sandbox": services["sandbox"],
            }
        ),
        openapi_config=openapi.config(),
        logging_config=None,
    )
    vault = Vault.from_text(settings.keys.answers, setting="CROSSDOCK_KEYS__ANSWERS")
    once = Idempotency(runtime.database, vault, AnswerMemory() if answers is None else answers)
    idempotency.install(app, once, vault)
    return app


def _dependencies(settings: Settings, runtime: Runtime) -> dict[str, Any]:
    """Return the services by the names under which controllers ask for them."""
    database = runtime.database
    keys = settings.keys
    destinations = Sealer.from_text(keys.destinations, setting="CROSSDOCK_KEYS__DESTINATIONS")
    payload_keys = TenantKeys(database, Sealer.from_text(keys.payloads, setting=SETTING))
    events = Events(database, payload_keys)
    guard = Guard(
        allowed_ports=settings.delivery.allowed_ports,
        allow_loopback=settings.delivery.allow_loopback,
    )
    services: dict[str, Any] = {
        "alerts": Alerts(database),
        "audit": Audit(database),
        "cancelling": Cancelling(database),
        "deliveries": Deliveries(database, payload_keys),
        "destinations": Destinations(
            database,
            destinations,
            guard,
            timeout_s=settings.delivery.timeout_s,
            concurrency=settings.worker.destination_concurrency,
        ),
        "event_types": EventTypes(database, events),
        "events": events,
        "health": runtime.health,
        "inboxes": Inboxes(database),
        "payload_keys": payload_keys,
        "live": Hub(settings.nats, settings.gateway, events, show),
        "replays": Replays(database),
        "stats": Stats(database),
        "timelines": Timelines(database, events),
    }
    # One process: a gateway has more to do than to try scripts.
    scripts = msgspec.structs.replace(settings.transforms, processes=1)
    sandbox = services["sandbox"] = Sandbox(scripts)
    services["dry_runs"] = DryRuns(events, services["destinations"], sandbox)
    services |= inbound.services(settings, runtime, events, payload_keys, guard, sandbox=sandbox)
    services |= access.services(settings, database, runtime.identity)
    services |= identity.services(settings, database, runtime.identity)
    services |= tenancy.services(settings, database, runtime.identity)
    return services


def _provide(service: Any) -> Provide:
    return Provide(lambda: service, sync_to_thread=False)


def _cursors(settings: Settings) -> Cursors:
    # Every gateway of an installation has this key; `Cursors` derives one of its own from it.
    return Cursors((settings.keys.sources or "").encode())
