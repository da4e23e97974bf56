"""A worker in a process of its own, between real servers, and what is put before it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, get_args

import aiohttp
import msgspec

from crossdock.bus import Bus, connect, standing
from crossdock.bus.streams import ensure_shard, wait_for_streams
from crossdock.config import (
    DatabaseRole,
    DeliverySettings,
    LogSettings,
    Settings,
    WorkerSettings,
)
from crossdock.supervisor.environment import environment, for_worker
from proto import subjects
from proto.ingest import IngestedV1, encoder
from tests.beds.delivery import until

ROLES: Final = frozenset(get_args(DatabaseRole)) - {"owner"}


def free_port() -> int:
    """Return a port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def for_tests(settings: Settings, **worker: Any) -> Settings:
    """Return settings with short times and a port of the worker's own."""
    return msgspec.structs.replace(
        settings,
        worker=WorkerSettings(**({"metrics_port": free_port(), "drain_grace_s": 4.0} | worker)),
        delivery=DeliverySettings(
            timeout_s=1.5, lease_s=3.0, allow_loopback=True, allowed_ports=()
        ),
        log=LogSettings(format="json"),
    )


class WorkerProcess:
    """`crossdock worker`, as an operator runs it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lines: list[bytes] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start, and don't wait for anything."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "crossdock.cli.app", "worker"),
            env=environment(for_worker(self.settings), os.environ),
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())

    async def ready(self) -> None:
        """Wait until it says that it can work."""
        await until(self._is_ready)

    async def ask(self, path: str) -> tuple[int, str]:
        """Return what its own port answers."""
        url = f"http://127.0.0.1:{self.settings.worker.metrics_port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def end(self) -> int:
        """Wait for its end; return its exit code."""
        assert self._process is not None
        assert self._reading is not None
        code = await self._process.wait()
        await self._reading
        return code

    async def stop(self) -> int:
        """Ask it to stop, and wait."""
        if self._process is not None and self._process.returncode is None:
            self.send(signal.SIGTERM)
        return await self.end()

    async def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None and self._process.returncode is None:
            self.send(signal.SIGKILL)
        await self.end()

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of an event."""
        found = []
        for line in self.lines:
            with suppress(msgspec.DecodeError):
                entry = msgspec.json.decode(line)
                if entry.get("event") == event:
                    found.append(entry)
        return found

    async def _is_ready(self) -> bool:
        try:
            return (await self.ask("/health/ready"))[0] == 200
        except aiohttp.ClientError:
            return False

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.lines.append(line)


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[WorkerProcess]:
    """Run a worker until it is ready, and to the end of the block."""
    worker = WorkerProcess(settings)
    await worker.start()
    try:
        await worker.ready()
        yield worker
    finally:
        await worker.kill()


class Ingest:
    """The broker as gateways and internal consumers use it."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.jetstream = bus.jetstream()

    @classmethod
    async def open(cls, settings: Settings) -> "Ingest":
        """Connect, and declare the streams."""
        bus = await connect(settings.nats, name="test")
        await wait_for_streams(bus)
        await ensure_shard(bus, 0)
        return cls(bus)

    async def accept(self, *messages: IngestedV1 | bytes) -> None:
        """Publish webhooks as a gateway that has answered 202."""
        for message in messages:
            data = message if isinstance(message, bytes) else encoder.encode(message)
            await self.jetstream.publish(subjects.ingest(0), data)

    async def waiting(self) -> int:
        """Return how many webhooks nobody has acknowledged."""
        return await standing.waiting(self.bus, 0)

    async def is_empty(self) -> bool:
        """Tell whether all are acknowledged."""
        return await self.waiting() == 0

    async def all_of(self, stream: str, subject: str) -> list[Any]:
        """Return the messages of a stream whose subject begins like that."""
        info = await self.jetstream.stream_info(stream)
        found = []
        for sequence in range(info.state.first_seq, info.state.last_seq + 1):
            message = await self.jetstream.get_msg(stream, sequence)
            if (message.subject or "").startswith(subject):
                found.append(message)
        return found
