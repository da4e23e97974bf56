"""The servers behind the gateways, a source, and one gateway of each kind that is compared."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Final

import aiohttp
import msgspec
import psutil

from bench.ingest.apps import TOKEN_VARIABLE
from bench.ingest.webhooks import SECRET
from crossdock.bus import Bus, connect
from crossdock.bus.streams import ensure_streams
from crossdock.config import DatabaseSettings, GatewaySettings, KeySettings, NatsSettings, Settings
from crossdock.db import Database
from crossdock.db.migrate import migrate
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres, ports
from crossdock.inbound.model import SourceEdit
from crossdock.inbound.service import Sources
from crossdock.secrets.seal import Sealer
from crossdock.supervisor.environment import environment, for_gateway
from crossdock.tenancy.service import Tenants
from proto import subjects

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
    "one publish a request, always": Kind(OURS, always=True),
    "ours, always": Kind(OURS, always=True, group_commit=True),
}


class Gateway:
    """One server with one process."""

    def __init__(self, kind: Kind, port: int, process: Process, broker: "Broker") -> None:
        self.kind = kind
        self.port = port
        self.broker = broker
        self.process = process
        self._worker: psutil.Process | None = None

    @property
    def worker(self) -> psutil.Process:
        """Return the process that answers."""
        if self._worker is None:
            children = psutil.Process(self.process.pid).children()
            self._worker = max(children, key=lambda child: child.memory_info().rss)
        return self._worker

    def cpu_s(self) -> float:
        """Return what the process has used, user and system."""
        times = self.worker.cpu_times()
        return times.user + times.system


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
            False: await _broker(stack, folder / "default", sync_interval="2m"),
            True: await _broker(stack, folder / "always", sync_interval="always"),
        }
        secrets = brokers[True].server.secrets
        keys = KeySettings(
            sources=secrets.key("key-sources"), destinations=secrets.key("key-destinations")
        )
        token = await _source(database, keys)
        gateways = {}
        for name in names:
            kind = KINDS[name]
            settings = Settings(database=database, keys=keys)
            log = folder / f"{name}.log"
            broker = brokers[kind.always]
            gateways[name] = await _gateway(stack, kind, broker, settings, token, log)
        yield World(token, gateways)


async def _broker(stack: AsyncExitStack, folder: Path, *, sync_interval: str) -> Broker:
    server = stack.enter_context(EmbeddedNats(folder, sync_interval=sync_interval))
    bus = await connect(server.settings(), name="bench")
    stack.push_async_callback(bus.close)
    await ensure_streams(bus)
    return Broker(server, bus)


async def _source(settings: DatabaseSettings, keys: KeySettings) -> str:
    """Make a tenant with a Stripe source, and return the source's token."""
    database = await Database.open(settings, {"app", "maintenance"})
    try:
        tenant = await Tenants(database, shard=0).create("Bench")
        sealer = Sealer.from_text(keys.sources, setting="key-sources")
        limit = GatewaySettings().max_body_bytes
        sources = Sources(database, sealer, max_body_bytes=limit)
        opened = await sources.create(tenant.id, "stripe", SourceEdit(name="bench"), [SECRET])
    finally:
        await database.close()
    return opened.token


async def _gateway(
    stack: AsyncExitStack, kind: Kind, broker: Broker, settings: Settings, token: str, log: Path
) -> Gateway:
    port, metrics_port = ports.free_port(), ports.free_port()
    settings = msgspec.structs.replace(
        settings,
        nats=broker.settings(group_commit=kind.group_commit),
        gateway=GatewaySettings(port=port, metrics_port=metrics_port),
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.ingest.serve", kind.application),
        env=environment(for_gateway(settings)) | {TOKEN_VARIABLE: token},
        stderr=stack.enter_context(_written(log)),
    )
    stack.push_async_callback(_end, process)
    try:
        await _until_ready(port, process)
    except AssertionError:
        _show(log)
        raise
    return Gateway(kind, port, process, broker)


def _written(log: Path) -> IO[bytes]:
    return log.open("wb")


def _show(log: Path) -> None:
    print(log.read_text(encoding="utf-8"), file=sys.stderr)


async def _until_ready(port: int, process: Process) -> None:
    """Wait until it answers anything but "not yet"."""
    deadline = asyncio.get_running_loop().time() + READY_S
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/health/ready") as answer:
                    if answer.status != 503:
                        return
            except aiohttp.ClientError:
                assert process.returncode is None, "the gateway ended"
            assert asyncio.get_running_loop().time() < deadline, "the gateway is not ready"
            await asyncio.sleep(0.05)


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    await process.wait()
