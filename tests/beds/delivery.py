"""Deliveries' whole way with real servers: persisted events, a dispatcher, receivers that behave.

`DeliveryBed` owns a database; a test takes a `Receiver`, makes a tenant and a destination, and puts
events in. Nothing sleeps: what a test waits for it polls, with a deadline.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import web

from crossdock import ids
from crossdock.breakers.service import Breakers
from crossdock.bus.publisher import Publisher
from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.delivery.client import Client
from crossdock.delivery.destinations.model import (
    DestinationEdit,
    Kind,
    OpenedDestination,
    RetryPolicy,
    Signing,
)
from crossdock.delivery.destinations.service import Destinations
from crossdock.delivery.dispatch.dispatcher import Dispatcher, DispatchSettings, Job
from crossdock.delivery.dispatch.lines import Caps
from crossdock.delivery.guard import Guard
from crossdock.delivery.model import DeliveryDetail, DeliveryFilter
from crossdock.delivery.service import Deliveries
from crossdock.inbound.persist import Arrival, Persister, decode
from crossdock.native import LimitTable
from crossdock.paging import Window
from crossdock.secrets.payloads import BatchKeys
from crossdock.secrets.seal import Sealer
from crossdock.tenancy.service import Tenants
from crossdock.transforms.service import Sandbox
from proto import ingest

POLL_S: Final = 0.005
GUARD: Final = Guard(allowed_ports=(), allow_loopback=True)
QUICK: Final = RetryPolicy(delays_s=(0.05, 0.05, 0.05))
CAPS: Final = Caps(total=32, tenant=32, destination=8, waiting=32)
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def until(condition: Callable[[], Any], *, within_s: float = 20.0) -> Any:
    """Return what a condition gives once it gives something; it may be a coroutine function."""
    ends = time.monotonic() + within_s
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < ends, "it did not happen in time"
        await asyncio.sleep(POLL_S)


class Call(msgspec.Struct):
    """One request that a receiver saw."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class Receiver:
    """An HTTP server on loopback whose paths behave as they are told."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.by_id: defaultdict[str, list[Call]] = defaultdict(list)
        self._behaviours: dict[str, Behaviour] = {}
        self._runner: web.AppRunner | None = None
        self._url = ""

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, path: str, behaviour: Behaviour | int = 204) -> str:
        """Return the URL of a path that answers with a status, or behaves as a coroutine says."""
        self._behaviours[path] = _answer(behaviour) if isinstance(behaviour, int) else behaviour
        return self._url + path

    def seen(self, path: str) -> list[Call]:
        """Return the calls of a path."""
        return [call for call in self.calls if call.path == path]

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(request.path, headers, await request.read(), time.monotonic())
        self.calls.append(call)
        self.by_id[headers.get("webhook-id", "")].append(call)
        return await self._behaviours[request.path](request)


def _answer(status: int) -> Behaviour:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    return answer


def failing_first(times: int, status: int = 503, **headers: str) -> Behaviour:
    """Answer each event with a failure so many times, then with 204."""
    seen: defaultdict[str, int] = defaultdict(int)

    async def answer(request: web.Request) -> web.Response:
        seen[request.headers["webhook-id"]] += 1
        failed = seen[request.headers["webhook-id"]] <= times
        return web.Response(status=status if failed else 204, headers=headers if failed else None)

    return answer


async def hanging(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.sleep(3600)
    raise AssertionError


class DeliveryBed:
    """The services over one database."""

    def __init__(self, databases: Databases, settings: Settings) -> None:
        self.databases = databases
        self.database = database = databases.shard(0)
        self.settings = settings
        self.sealer = Sealer.from_text(settings.keys.destinations, setting="the tests' key")
        self.destinations = Destinations(databases, self.sealer, GUARD, timeout_s=15)
        self.deliveries = Deliveries(databases)
        self.tenants = Tenants(databases, shard=settings.shard)
        self.persister = Persister(database, lease_s=30)
        self.payloads = Sealer.from_text(settings.keys.payloads, setting="the tests' key")
        self.keys = BatchKeys(database, "dispatch", self.payloads)
        self._serial = 0

    async def tenant(self) -> UUID:
        """Make a tenant."""
        return (await self.tenants.create(f"Tenant {ids.new().hex}")).id

    async def destination(
        self,
        tenant_id: UUID,
        url: str = "",
        *,
        kind: Kind = "http",
        signing: Signing = "hmac",
        **options: Any,
    ) -> OpenedDestination:
        """Make a destination."""
        edit = DestinationEdit(name=ids.new().hex, url=url, **options)
        return await self.destinations.create(tenant_id, edit, kind=kind, signing=signing)

    def arrival(self, tenant_id: UUID, body: bytes = b"{}", event_type: str = "a.b") -> Arrival:
        """Return a webhook that was accepted just now."""
        self._serial += 1
        event_id = ids.new()
        message = ingest.encoder.encode(
            ingest.IngestedV1(
                event_id=event_id.bytes,
                tenant_id=tenant_id.bytes,
                source_id=UUID(int=7).bytes,
                event_type=event_type,
                dedupe=event_id.bytes,
                provider_id=None,
                content_type="application/json",
                headers=[],
                traceparent=TRACE,
                body=body,
            )
        )
        found = decode(message, self._serial)
        assert isinstance(found, Arrival)
        return found

    async def persist(self, *arrivals: Arrival) -> list[Job]:
        """Persist webhooks; return the deliveries that are leased to us."""
        persisted = await self.persister.persist(arrivals)
        return [Job(leased, cargo) for leased, cargo in persisted.leased]

    async def make_due(self, jobs: Sequence[Job]) -> None:
        """Give leases back as if their holder had died and they had ended."""
        async with self.database.queue() as conn:
            await conn.execute(
                "UPDATE crossdock.deliveries SET due_at = now() WHERE id = ANY($1::uuid[])",
                [job.leased.id for job in jobs],
            )

    async def all_of(self, tenant_id: UUID, **wanted: Any) -> list[DeliveryDetail]:
        """Return a tenant's deliveries, oldest first, with their attempts."""
        window = Window(limit=200)
        found = await self.deliveries.page(tenant_id, window, DeliveryFilter(**wanted))
        details = [await self.deliveries.get(tenant_id, one.id) for one in found.items]
        return details[::-1]

    async def states(self, tenant_id: UUID) -> list[str]:
        """Return the states of a tenant's deliveries, oldest first."""
        return [one.delivery.state for one in await self.all_of(tenant_id)]

    @asynccontextmanager
    async def dispatching(
        self,
        *,
        caps: Caps = CAPS,
        policy: RetryPolicy | None = QUICK,
        lease_s: float = 30.0,
        timeout_s: float = 5.0,
        held_bytes: int = 64 * 1024 * 1024,
        breakers: Breakers | None = None,
        table: LimitTable | None = None,
        sandbox: Sandbox | None = None,
        publisher: Publisher | None = None,
    ) -> AsyncIterator[Dispatcher]:
        """Run a dispatcher."""
        settings = DispatchSettings(
            caps=caps,
            lease_s=lease_s,
            timeout_s=timeout_s,
            poll_s=0.05,
            policy=policy,
            held_bytes=held_bytes,
        )
        async with Client(GUARD, connections=caps.total) as client:
            dispatcher = Dispatcher(
                self.database,
                client,
                self.sealer,
                settings,
                keys=self.keys,
                breakers=breakers,
                table=table,
                sandbox=sandbox,
                publisher=publisher,
            )
            running = asyncio.create_task(dispatcher.run())
            try:
                yield dispatcher
                await dispatcher.drain(0.0)
            finally:
                running.cancel()
                await asyncio.wait([running])


def event_ids(jobs: Sequence[Job]) -> list[str]:
    """Return the webhook ids that a receiver will see."""
    return [ids.encode("evt", job.leased.event_id) for job in jobs]
