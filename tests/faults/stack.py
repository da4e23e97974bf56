"""The real `crossdock up` on a data folder of its own: its programs, their processes, its REST."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Final, NamedTuple, Self

import aiohttp
import msgspec
import psutil

from crossdock.config import write_path
from crossdock.supervisor.folder import DataFolder
from tests.faults.rest import Rest
from tests.faults.waiting import AWAY, until

PROGRAM: Final = Path(sysconfig.get_path("scripts")) / "crossdock"
START_S: Final = 90.0
STOP_S: Final = 40.0
TEMPO: Final = {
    "CROSSDOCK_DELIVERY__TIMEOUT_S": "2",
    "CROSSDOCK_DELIVERY__LEASE_S": "5",
    "CROSSDOCK_GATEWAY__PUBLISH_TIMEOUT_S": "2",
    "CROSSDOCK_GATEWAY__BODY_TIMEOUT_S": "2",
    "CROSSDOCK_LOG__FORMAT": "json",
    "CROSSDOCK_IDENTITY__ACCESS_TTL_S": "3600",
    "CROSSDOCK_IDENTITY__HASH_MEMORY_KIB": "19456",
    "CROSSDOCK_IDENTITY__HASH_PASSES": "2",
    "CROSSDOCK_LIMITS__ADDRESS_PER_MINUTE": "1000000",
    "CROSSDOCK_LIMITS__ADDRESS_BURST": "1000000",
    "CROSSDOCK_LIMITS__KEY_PER_MINUTE": "1000000",
}
"""Shorter deadlines and wider limits than anyone would run with: tests needn't wait for the real
ones, and all of them come from one address."""


class Finished(NamedTuple):
    """A command that ended."""

    code: int
    out: str
    err: str

    def last_json(self) -> Any:
        """Return the JSON of its last line."""
        return msgspec.json.decode(self.out.strip().splitlines()[-1])


class Tenant(NamedTuple):
    """A tenant and its first key."""

    id: str
    key: str


class Stack:
    """`crossdock up` and what runs under it, told apart as an operator would: by pid and name."""

    def __init__(
        self, folder: Path, *, processes: int = 2, environ: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder.parent / f"{folder.name}.log"
        self._processes = processes
        ours = {k: v for k, v in os.environ.items() if not k.startswith("CROSSDOCK_")}
        self.environ = ours | TEMPO | dict(environ or {})
        self._up: subprocess.Popen[bytes] | None = None
        self._others: list[psutil.Popen] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Run `crossdock up` and wait until it takes webhooks."""
        command = [
            *(str(PROGRAM), "up", "--data", str(self.folder), "--port", str(self.port)),
            *("--processes", str(self._processes), "--allow-loopback-destinations"),
        ]
        with self.log.open("ab") as log:
            self._up = subprocess.Popen(  # noqa: ASYNC220 - it outlives the loop's interest in it
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environ
            )
        try:
            await self.ready(START_S)
        except BaseException:
            await self.stop()
            raise

    async def ready(self, within: float = START_S) -> None:
        """Wait until webhooks are taken and all programs run."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:

            async def is_ready() -> bool:
                assert self._up is not None
                assert self._up.poll() is None, f"`crossdock up` ended: {self.tail()}"
                async with session.get(f"{self.url}/health/ready") as answer:
                    return answer.status == 200 and self._is_complete()

            await until(is_ready, lambda: f"a stack that is ready: {self.tail()}", within=within)

    async def stop(self) -> int:
        """Stop it as an operator would; return its exit code."""
        for other in self._others:
            other.kill()
            other.wait()
        self._others = []
        if self._up is None:
            return 0
        up, self._up = self._up, None
        everything = self._family(up.pid)
        with contextlib.suppress(ProcessLookupError):
            up.send_signal(signal.SIGCONT)
            up.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(up.wait, STOP_S)
        finally:
            up.kill()
            up.wait()
            for process in everything:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        return code

    def tail(self, lines: int = 40) -> str:
        """Return the end of what it wrote."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    @property
    def supervisor(self) -> psutil.Process:
        """The process of `crossdock up` itself."""
        assert self._up is not None
        return psutil.Process(self._up.pid)

    def lose_supervisor(self) -> list[psutil.Process]:
        """SIGKILL the supervisor; return all that ran under it, itself first."""
        assert self._up is not None
        family = self.family()
        self._up.kill()
        self._up.wait()
        self._up = None
        return family

    def family(self) -> list[psutil.Process]:
        """Return every process of the stack, the supervisor first."""
        assert self._up is not None
        return self._family(self._up.pid)

    @property
    def gateway(self) -> psutil.Process:
        """The gateway's master."""
        return self._program("gateway")

    @property
    def worker(self) -> psutil.Process:
        """The worker."""
        return self._program("worker")

    @property
    def nats(self) -> psutil.Process:
        """The broker."""
        return self._server("nats-server")

    @property
    def postgres(self) -> psutil.Process:
        """The database's first process, parent of the others."""
        return self._server("postgres")

    def gateway_processes(self) -> list[psutil.Process]:
        """Return the gateway's workers: those that serve, not those that watch or count."""
        return [
            child
            for child in self.gateway.children(recursive=True)
            if _is_alive(child) and any("spawn_main" in part for part in _line(child))
        ]

    def memory(self) -> int:
        """Return the bytes that the gateway's processes hold."""
        processes = [self.gateway, *self.gateway_processes()]
        return sum(process.memory_info().rss for process in processes)

    async def replaced(self, old: Iterable[psutil.Process], *, within: float = 30.0) -> None:
        """Wait until these are gone and the stack is whole again without them."""
        gone = list(old)
        await until(
            lambda: not any(_is_alive(process) for process in gone),
            lambda: f"an end of {[p for p in gone if _is_alive(p)]}",
            within=within,
        )
        await self.ready(within)

    def state(self) -> Any:
        """Return what `up.json` says."""
        return msgspec.json.decode((self.folder / "up.json").read_bytes())

    def rest(self, key: str | None = None) -> Rest:
        """Return a caller of its REST API."""
        return Rest(self.url, key)

    async def command(
        self, *words: str, within: float = 60.0, environ: Mapping[str, str] | None = None
    ) -> Finished:
        """Run one `crossdock` command to its end."""
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environ | dict(environ or {}),
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), within)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        assert process.returncode is not None
        return Finished(process.returncode, out.decode(), err.decode())

    def another_worker(self) -> psutil.Process:
        """Start a worker beside the supervised one, as an operator would to have more of them."""
        settings = DataFolder(self.folder).settings()
        environ = dict(_variables("CROSSDOCK_", msgspec.to_builtins(settings, enc_hook=write_path)))
        environ["CROSSDOCK_WORKER__METRICS_PORT"] = str(_free_port())
        with self.log.open("ab") as log:
            worker = psutil.Popen(
                [str(PROGRAM), "worker"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environ | environ,
            )
        self._others.append(worker)
        return worker

    async def tenant(self, name: str) -> Tenant:
        """Make a tenant, as its operator would."""
        made = await self.command(
            *("tenant", "create", name, "--plan", "business", "--json"),
            *("--data", str(self.folder)),
        )
        assert made.code == 0, made
        told = made.last_json()
        return Tenant(told["id"], told["api_key"])

    def _is_complete(self) -> bool:
        try:
            programs = (self.gateway, self.worker, self.nats, self.postgres)
            return (
                all(_is_alive(program) for program in programs)
                and len(self.gateway_processes()) == self._processes
            )
        except (psutil.NoSuchProcess, LookupError, FileNotFoundError):
            return False

    def _program(self, name: str) -> psutil.Process:
        return psutil.Process(self.state()["programs"][name]["pid"])

    def _server(self, name: str) -> psutil.Process:
        for process in self.supervisor.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                # Children come after their parents, and the first by this name is the server.
                if process.name().startswith(name) and _is_alive(process):
                    return process
        raise LookupError(name)

    @staticmethod
    def _family(pid: int) -> list[psutil.Process]:
        try:
            first = psutil.Process(pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


async def end(process: psutil.Process, number: signal.Signals = signal.SIGKILL) -> float:
    """Send a signal and wait until the process is gone; return when it was."""
    process.send_signal(number)
    await until(lambda: not _is_alive(process), f"an end of {process}", within=30, step=0.002)
    return monotonic()


async def freeze(processes: Iterable[psutil.Process]) -> float:
    """Stop processes where they stand; return when all of them stood."""
    frozen = list(processes)
    for process in frozen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    await until(lambda: all(_stands(process) for process in frozen), "a standstill", step=0.002)
    return monotonic()


def thaw(processes: Iterable[psutil.Process]) -> float:
    """Let processes go on; return the moment before."""
    moment = monotonic()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    return moment


async def answers(url: str) -> bool:
    """Tell whether anyone answers there at all."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url):
            return True
    except AWAY:
        return False


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _stands(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return True


def _line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


def _variables(prefix: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return settings as environment variables, `CROSSDOCK_<SECTION>__<NAME>`."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _variables(f"{prefix}{name.upper()}__", value)
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name.upper()}", ",".join(map(str, value))
        elif value is not None:
            yield f"{prefix}{name.upper()}", str(value).lower() if value is True else str(value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
