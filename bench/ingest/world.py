"""The servers behind the gateways, a source, and one gateway of each kind that is compared."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO, Final

import aiohttp
import msgspec
import psutil

from bench.ingest.apps import TOKEN_VARIABLE
from bench.ingest.webhooks import SECRET
from crossdock.bus import Bus, connect
from crossdock.bus.streams import ensure_streams
from crossdock.config import (
    DatabaseSettings,
    GatewaySettings,
    KeySettings,
    LimitSettings,
    NatsSettings,
    Settings,
)
from crossdock.db import Databases
from crossdock.db.migrate import migrate
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres, ports
from crossdock.inbound.model import SourceEdit
from crossdock.inbound.sources.service import Sources
from crossdock.secrets.seal import Sealer
from crossdock.supervisor.environment import environment, for_gateway
from crossdock.tenancy.plans import MAX_RATE
from crossdock.tenancy.service import Tenants
from proto import subjects

WIDE: Final = LimitSettings(
    address_per_minute=MAX_RATE, address_burst=MAX_RATE, key_per_minute=MAX_RATE
)
"""What is measured is the count, not the refusal."""

OURS: Final = "gateway.app:from_environment"
READY_S: Final = 30.0


class Kind(msgspec.Struct, frozen=True):
    """One of the things compared."""

    application: str
    always: bool = False
    """Whether its broker syncs each write."""
    group_commit: bool = False


KINDS: Final = {
    "no work": Kind("bench.ingest.apps:no_work"),
    "plain way": Kind("bench.ingest.apps:plain"),
    "ours": Kind(OURS),
    "ours, no limits": Kind("bench.ingest.apps:uncounted"),
    "one publish a request, always": Kind(OURS, always=True),
    "ours, always": Kind(OURS, always=True, group_commit=True),
}


class Gateway:
    """One server with one process."""

    def __init__(self, kind: Kind, broker: "Broker", log: Path) -> None:
        self.kind = kind
        self.broker = broker
        self.port = ports.free_port()
        self._log = log
        self._server: Process | None = None
        self._worker: psutil.Process | None = None

    async def start(self, settings: Settings, **variables: str) -> None:
        """Start it, and return when it is ready."""
        settings = msgspec.structs.replace(
            settings,
            nats=self.broker.settings(group_commit=self.kind.group_commit),
            gateway=msgspec.structs.replace(
                settings.gateway, port=self.port, metrics_port=ports.free_port()
            ),
            limits=WIDE,
        )
        with _written(self._log) as log:
            self._server = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.ingest.serve", self.kind.application),
                env=environment(for_gateway(settings)) | variables,
                stderr=log,
            )
        async with aiohttp.ClientSession() as session, asyncio.timeout(READY_S):
            while not await self._is_ready(session):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.05)
        children = psutil.Process(self._server.pid).children()
        # The others are helpers of multiprocessing.
        self._worker = max(children, key=lambda child: child.memory_info().rss)

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        """Ask; any answer but "not yet" will do, for not all of them know the question."""
        try:
            async with session.get(f"http://127.0.0.1:{self.port}/health/ready") as answer:
                return answer.status != HTTPStatus.SERVICE_UNAVAILABLE
        except aiohttp.ClientError:
            assert self._server is not None
            if self._server.returncode is not None:
                _show(self._log)
                raise
            return False

    def cpu_s(self) -> float:
        """Return what the process that answers has used, user and system."""
        assert self._worker is not None
        times = self._worker.cpu_times()
        return times.user + times.system

    async def end(self) -> None:
        """Stop it."""
        if self._server is not None:
            with suppress(ProcessLookupError):
                self._server.terminate()
            await self._server.wait()


class Broker(msgspec.Struct):
    """A NATS server and a connection to look after its stream."""

    server: EmbeddedNats
    bus: Bus

    def settings(self, *, group_commit: bool) -> NatsSettings:
        """Return how a gateway connects."""
        return msgspec.structs.replace(self.server.settings(), group_commit=group_commit)

    async def stored(self) -> int:
        """Return the sequence of the last message that INGEST has taken."""
        info = await self.bus.jetstream().stream_info(subjects.INGEST_STREAM)
        return info.state.last_seq

    async def empty(self) -> None:
        """Forget what was stored."""
        await self.bus.jetstream().purge_stream(subjects.INGEST_STREAM)

    def cpu_s(self) -> float:
        """Return what the server has used, user and system."""
        times = psutil.Process(self.server.pid).cpu_times()
        return times.user + times.system


class World(msgspec.Struct):
    """All that runs."""

    token: str
    gateways: dict[str, Gateway]


@asynccontextmanager
async def running(folder: Path, names: list[str]) -> AsyncIterator[World]:
    """Start everything, and end it."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres(folder / "database"))
        postgres.ensure_database()
        database = postgres.settings()
        await migrate(postgres.admin_url(), database)
        brokers = {
            False: await broker_of(stack, folder / "default", sync_interval="2m"),
            True: await broker_of(stack, folder / "always", sync_interval="always"),
        }
        keys = keys_of(brokers[True])
        token = await _source(database, keys)
        gateways = {}
        for name in names:
            broker = brokers[KINDS[name].always]
            gateway = Gateway(KINDS[name], broker, folder / f"{name}.log")
            stack.push_async_callback(gateway.end)
            await gateway.start(Settings(database=database, keys=keys), **{TOKEN_VARIABLE: token})
            gateways[name] = gateway
        yield World(token, gateways)


def keys_of(broker: Broker) -> KeySettings:
    """Return the sealing keys of an installation, made at first use."""
    key = broker.server.secrets.key
    names = [field.name for field in msgspec.structs.fields(KeySettings)]
    return KeySettings(**{name: key(f"key-{name}") for name in names})


async def broker_of(stack: AsyncExitStack, folder: Path, *, sync_interval: str) -> Broker:
    """Start a NATS server that has its streams."""
    server = stack.enter_context(EmbeddedNats(folder, sync_interval=sync_interval))
    bus = await connect(server.settings(), name="bench")
    stack.push_async_callback(bus.close)
    await ensure_streams(bus)
    return Broker(server, bus)


async def _source(settings: DatabaseSettings, keys: KeySettings) -> str:
    """Make a tenant with a Stripe source, and return the source's token."""
    database = await Databases.open(settings, {"app", "control", "directory", "operator"})
    try:
        tenant = await Tenants(database).create("Bench", plan="unlimited")
        # A limit that is counted against, and never reached.
        await Tenants(database).set_quota(tenant.slug, quotas={"webhooks_per_minute": MAX_RATE})
        sealer = Sealer.from_text(keys.sources, setting="key-sources")
        limit = GatewaySettings().max_body_bytes
        sources = Sources(database, sealer, max_body_bytes=limit)
        opened = await sources.create(tenant.id, "stripe", SourceEdit(name="bench"), [SECRET])
    finally:
        await database.close()
    return opened.token


def _written(log: Path) -> IO[bytes]:
    return log.open("wb")


def _show(log: Path) -> None:
    print(log.read_text(encoding="utf-8"), file=sys.stderr)
