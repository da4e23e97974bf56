"""Gateway and worker as programs of their own, each behind a proxy to NATS and to PostgreSQL.

What `crossdock up` runs, without its supervisor: a test cuts the wires and starts again what died.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec
import psutil

from crossdock.bus import connect
from crossdock.bus.streams import persist_consumer
from crossdock.config import (
    DeliverySettings,
    GatewaySettings,
    IdentitySettings,
    KeySettings,
    LimitSettings,
    MailSettings,
    Settings,
    WorkerSettings,
)
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.embedded.ports import free_port
from crossdock.embedded.postgres import DATABASE
from crossdock.identity.hasher import LEAST_MEMORY_KIB, LEAST_PASSES
from crossdock.supervisor.environment import environment, for_gateway, for_worker
from crossdock.supervisor.keeper import Keeper
from crossdock.supervisor.mender import Mender
from proto import subjects
from tests.conftest import QUICK, _migrate
from tests.faults.proxy import Proxy
from tests.faults.rest import Rest
from tests.faults.stack import Tenant, _is_alive
from tests.faults.waiting import until

COMMAND: Final = (sys.executable, "-P", "-m", "crossdock.cli.app")
READY_S: Final = 90.0
TIMEOUT_S: Final = 2.0
LEASE_S: Final = 5.0
GRACE_S: Final = 6.0
ACK_WAIT_S: Final = 3.0


class Program:
    """One of our programs, started and ended as often as a test likes."""

    def __init__(self, name: str, settings: Settings, url: str, log: Path) -> None:
        self.name = name
        self.settings = settings
        self.url = url
        self.log = log
        self.environ: dict[str, str] = {}
        """Put on top of its settings at the next start."""
        self._process: psutil.Popen | None = None

    @property
    def process(self) -> psutil.Process:
        """Its first process."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def family(self) -> list[psutil.Process]:
        """Return it and all its children."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self.process, *self.process.children(recursive=True)]
        return []

    def memory(self) -> int:
        """Return the bytes that it and its children hold."""
        total = 0
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        await self.ready()

    def launch(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self._process = psutil.Popen(
                [*COMMAND, self.name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(self.settings, os.environ) | self.environ,
            )

    async def ready(self) -> None:
        """Wait until it says that it can work."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:

            async def is_ready() -> bool:
                assert self._process is not None
                assert self._process.poll() is None, f"{self.name} ended: {self.tail()}"
                async with session.get(f"{self.url}/health/ready") as answer:
                    return answer.status == 200

            await until(is_ready, lambda: f"{self.name} ready: {self.tail()}", within=READY_S)

    async def kill(self) -> None:
        """End it and its children as a crash would."""
        family = self.family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
        await until(lambda: not any(map(_is_alive, family)), f"an end of {self.name}")

    async def stop(self) -> int:
        """Ask it to stop, and wait; return its exit code."""
        assert self._process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.send_signal(signal.SIGTERM)
        code: int = await asyncio.to_thread(self._process.wait, 30)
        return code

    async def restart(self) -> None:
        """End it as a crash would, and start it again."""
        await self.kill()
        await self.start()

    def tail(self, lines: int = 30) -> str:
        """Return the end of what it wrote."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return its log lines of an event."""
        found = []
        for line in self.log.read_bytes().splitlines():
            with contextlib.suppress(msgspec.DecodeError):
                entry = msgspec.json.decode(line)
                if isinstance(entry, dict) and entry.get("event") == event:
                    found.append(entry)
        return found


class Wires(NamedTuple):
    """The way of one program to its servers."""

    nats: Proxy
    postgres: Proxy

    def heal(self) -> None:
        """Make both whole, and forget what they were waiting for."""
        for wire in self:
            wire.heal()
            wire.forget_traps()


class Rig:
    """The servers, the wires, the programs."""

    def __init__(self, folder: Path, nats: EmbeddedNats, postgres: EmbeddedPostgres) -> None:
        self.folder = folder
        self.nats = nats
        self.postgres = postgres
        self.gateway_wires: Wires
        self.worker_wires: Wires
        self.gateway: Program
        self.worker: Program
        self.settings: Settings

    @property
    def url(self) -> str:
        """Where the gateway listens."""
        return self.gateway.url

    def rest(self, key: str | None = None) -> Rest:
        """Return a caller of its REST API."""
        return Rest(self.url, key)

    def tail(self, lines: int = 20) -> str:
        """Return the end of what both programs wrote."""
        return f"{self.gateway.tail(lines)}\n--\n{self.worker.tail(lines)}"

    def heal(self) -> None:
        """Make every wire whole."""
        self.gateway_wires.heal()
        self.worker_wires.heal()

    async def whole(self) -> None:
        """Make every wire whole, and wait until both programs are ready."""
        self.heal()
        for server in (self.nats, self.postgres):
            if not server.is_running():
                await asyncio.to_thread(server.start)
        for program in (self.gateway, self.worker):
            if not program.family() or not _is_alive(program.process):
                program.launch()
        await self.gateway.ready()
        await self.worker.ready()

    async def impatient(self) -> None:
        """Have the broker hand out again soon what a worker did not acknowledge.

        For as long as that worker lives: one that starts mends its consumer.
        """
        bus = await connect(self.settings.nats)
        wanted = persist_consumer(0)
        wanted.ack_wait = ACK_WAIT_S
        await bus.jetstream().add_consumer(subjects.INGEST_STREAM, wanted)
        await bus.close()

    async def tenant(self, name: str, *, plan: str = "business") -> Tenant:
        """Make a tenant, as its operator would."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *("tenant", "create", name, "--plan", plan, "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(self.settings, os.environ),
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        told = msgspec.json.decode(out.strip().splitlines()[-1])
        return Tenant(told["id"], told["api_key"])

    @contextlib.contextmanager
    def supervised(self) -> Iterator[None]:
        """Have the servers looked after as `crossdock up` does."""
        stopping = threading.Event()
        for part in (self.nats, self.postgres):
            Keeper(part, stopping, lambda: None).start()
        Mender(self.nats, stopping).start()
        try:
            yield
        finally:
            stopping.set()

    def _wire(self, wires: Wires) -> Settings:
        """Return the settings of a program whose way to its servers is by these wires."""
        nats = msgspec.structs.replace(
            self.settings.nats, url=f"nats://127.0.0.1:{wires.nats.port}"
        )
        database = msgspec.structs.replace(
            self.settings.database, url=f"postgresql://127.0.0.1:{wires.postgres.port}/{DATABASE}"
        )
        return msgspec.structs.replace(self.settings, nats=nats, database=database)

    async def _build(self, stack: AsyncExitStack, changed: Mapping[str, Any]) -> None:
        self.settings = _settings(self.nats, self.postgres, self.folder, changed)

        async def wires() -> Wires:
            nats, postgres = Proxy(self.nats.port), Proxy(self.postgres.port)
            return Wires(
                await stack.enter_async_context(nats), await stack.enter_async_context(postgres)
            )

        self.gateway_wires, self.worker_wires = await wires(), await wires()
        port, metrics = self.settings.gateway.port, self.settings.worker.metrics_port
        self.gateway = Program(
            "gateway",
            for_gateway(self._wire(self.gateway_wires)),
            f"http://127.0.0.1:{port}",
            self.folder / "gateway.log",
        )
        self.worker = Program(
            "worker",
            for_worker(self._wire(self.worker_wires)),
            f"http://127.0.0.1:{metrics}",
            self.folder / "worker.log",
        )


@asynccontextmanager
async def open_rig(
    folder: Path,
    *,
    nats: EmbeddedNats | None = None,
    postgres: EmbeddedPostgres | None = None,
    **changed: Any,
) -> AsyncIterator[Rig]:
    """Start everything.

    Args:
        folder: for its data and logs.
        nats: another broker than a plain one in the folder; it is started and stopped here.
        postgres: another database likewise.
        **changed: sections of the settings, each a mapping of what differs.
    """
    broker, database = (
        nats or EmbeddedNats(folder),
        postgres or EmbeddedPostgres(folder, tuning=QUICK),
    )
    async with AsyncExitStack() as stack:
        for server in (broker, database):
            stack.push_async_callback(asyncio.to_thread, server.stop)
        await asyncio.gather(*(asyncio.to_thread(each.start) for each in (broker, database)))
        await asyncio.to_thread(_migrate, database, DATABASE)
        rig = Rig(folder, broker, database)
        await rig._build(stack, changed)
        for program in (rig.gateway, rig.worker):
            stack.push_async_callback(program.kill)
            program.launch()
        await rig.gateway.ready()
        await rig.worker.ready()
        yield rig


def _settings(
    nats: EmbeddedNats, postgres: EmbeddedPostgres, folder: Path, changed: Mapping[str, Any]
) -> Settings:
    """Return settings with short times, as tests need them."""
    key, port = nats.secrets.key, free_port()
    whole = Settings(
        environment="test",
        database=postgres.settings(),
        nats=nats.settings(),
        gateway=GatewaySettings(
            port=port,
            public_url=f"http://127.0.0.1:{port}",
            metrics_port=free_port(),
            publish_timeout_s=TIMEOUT_S,
            body_timeout_s=TIMEOUT_S,
        ),
        worker=WorkerSettings(metrics_port=free_port(), drain_grace_s=GRACE_S),
        delivery=DeliverySettings(
            timeout_s=TIMEOUT_S, lease_s=LEASE_S, allow_loopback=True, allowed_ports=()
        ),
        identity=IdentitySettings(hash_memory_kib=LEAST_MEMORY_KIB, hash_passes=LEAST_PASSES),
        keys=KeySettings(
            sources=key("key-sources"),
            destinations=key("key-destinations"),
            identity=key("key-identity"),
            mail=key("key-mail"),
            answers=key("key-answers"),
            payloads=key("key-payloads"),
        ),
        limits=LimitSettings(
            address_per_minute=1_000_000, address_burst=1_000_000, key_per_minute=1_000_000
        ),
        mail=MailSettings(folder=folder / "mail"),
    )
    sections = {
        name: msgspec.structs.replace(getattr(whole, name), **values)
        for name, values in changed.items()
    }
    return msgspec.structs.replace(whole, **sections)
