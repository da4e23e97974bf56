"""The whole stack: NATS, PostgreSQL, gateway and worker, started and stopped in the right order."""

import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Final, Self

import msgspec
import structlog

from crossdock.config import KeySettings, NatsSettings, Settings
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.embedded.server import EmbeddedServer
from crossdock.errors import ConfigurationError, CrossdockError, ProcessFailed
from crossdock.limits import shared as limits
from crossdock.supervisor import environment
from crossdock.supervisor.folder import DataFolder, State, only_sizes
from crossdock.supervisor.keeper import Keeper, Part
from crossdock.supervisor.mender import Mender
from crossdock.supervisor.program import Program, Sink, command
from crossdock.supervisor.readiness import gateway_url, worker_url

log = structlog.get_logger(__name__)

START_TIMEOUT_S: Final = 60.0
MIGRATE_TIMEOUT_S: Final = 120.0
GATEWAY_GRACE_S: Final = 20.0
WORKER_SPARE_S: Final = 5.0
"""What a worker gets beyond its own drain before it is killed."""
LEFT_OVER_GRACE_S: Final = 5.0


class Interrupted(CrossdockError):
    """The stack was told to stop while it was starting."""


class Stack:
    """One data folder's processes. As a context manager it is started and stopped."""

    def __init__(
        self,
        folder: DataFolder,
        settings: Settings,
        *,
        port: int | None = None,
        sync_interval: str = "always",
        sink: Sink,
    ) -> None:
        """Say what; nothing is touched before `start`.

        Args:
            folder: where its data lives.
            settings: everything but servers and keys, which are the stack's own.
            port: where the gateway listens; unless given, a free port, the same each time.
            sync_interval: see `EmbeddedNats`.
            sink: where the programs' lines go.
        """
        _refuse_foreign(settings)
        self.folder = folder
        self.nats = EmbeddedNats(folder.path, sync_interval=sync_interval)
        self.postgres = EmbeddedPostgres(folder.path)
        self.settings = settings
        self._port = port
        self._sink = sink
        self._stopping = Event()
        self._hurried = 0
        self._programs: list[Program] = []

    def start(self) -> Self:
        """Start everything, each when what it needs is ready.

        Raises:
            ConfigurationError: it can't run here, or it already does.
            ProcessFailed: a part did not start.
        """
        self.folder.prepare()
        self.folder.lock.acquire()
        self._end_left_over()
        self.settings = self.folder.choose_ports(self.settings, self._port)
        self._each(self.nats.start, self.postgres.start)
        self._check_interrupted()
        self.postgres.ensure_database()
        self.settings = self.folder.complete(self.settings)
        self._migrate()
        self._check_interrupted()
        self._scratch = self._shared_folder()
        self._programs = [self._gateway(), self._worker()]
        for program in self._programs:
            program.launch()
        self._write_down()
        for program in self._programs:
            program.wait_until_ready()
        for part in self._parts():
            Keeper(part, self._stopping, self._write_down).start()
        Mender(self.nats, self._stopping).start()
        return self

    def wait(self) -> None:
        """Wait until `interrupt` is called."""
        self._stopping.wait()

    def interrupt(self) -> None:
        """End `start` or `wait` soon; called again, hurry `stop`. Meant for a signal handler."""
        if not self._stopping.is_set():
            self._stopping.set()
            return
        self._hurried += 1
        for program in self._programs:
            program.kill()
        if self._hurried > 1:
            self.nats.abandon()
            self.postgres.abandon()

    def stop(self) -> None:
        """Stop everything: first who takes work in, last who keeps it."""
        self._stopping.set()
        for program in self._programs:
            log.info("part_stopping", part=program.name)
            program.stop()
        for server in (self.nats, self.postgres):
            if server.is_running():
                log.info("part_stopping", part=server.name)
            server.stop()
        if self.folder.lock.is_held:
            self.folder.save(State(settings=_without_secrets(self.settings)))
            self.folder.lock.release()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _shared_folder(self) -> dict[str, str]:
        """Return what the programs are told of a folder that is new with each start.

        In it is the table that gateway and worker count limits in, unless the settings name one.
        """
        scratch = self.folder.fresh_scratch()
        told = {"TMPDIR": str(scratch)}
        if self.settings.limits.table is None:
            told[limits.VARIABLE] = str(scratch / limits.NAME)
        return told

    def _parts(self) -> list[Part]:
        return [self.nats, self.postgres, *self._programs]

    def _end_left_over(self) -> None:
        """End programs of an earlier supervisor that could not take them along."""
        for name, process in self.folder.state().programs.items():
            if process.is_alive():
                log.warning("left_over_ended", part=name, pid=process.pid)
                process.end(signal.SIGTERM, LEFT_OVER_GRACE_S)

    def _check_interrupted(self) -> None:
        if self._stopping.is_set():
            raise Interrupted

    def _migrate(self) -> None:
        """Prepare roles, schema and streams, in a process that forgets their passwords."""
        settings = environment.for_migration(self.settings, self.postgres.admin_url())
        done = subprocess.run(  # noqa: S603 - our own command line
            command("migrate"),
            env=environment.environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=MIGRATE_TIMEOUT_S,
            check=False,
        )
        for line in done.stdout.splitlines(keepends=True):
            self._sink("migrate", line)
        if done.returncode != 0:
            words = done.stdout.decode("utf-8", "replace").strip()
            raise ProcessFailed(f"The database could not be prepared:\n{words[-2000:]}")

    def _gateway(self) -> Program:
        return Program(
            "gateway",
            ["gateway"],
            environment=environment.environment(environment.for_gateway(self.settings))
            | self._scratch,
            ready_url=gateway_url(self.settings),
            start_timeout_s=START_TIMEOUT_S,
            grace_s=GATEWAY_GRACE_S,
            stopping=self._stopping,
            sink=self._sink,
        )

    def _worker(self) -> Program:
        return Program(
            "worker",
            ["worker"],
            environment=environment.environment(environment.for_worker(self.settings))
            | self._scratch,
            ready_url=worker_url(self.settings),
            start_timeout_s=START_TIMEOUT_S,
            grace_s=self.settings.worker.drain_grace_s + WORKER_SPARE_S,
            stopping=self._stopping,
            sink=self._sink,
        )

    def _write_down(self) -> None:
        processes = {program.name: program.identity() for program in self._programs}
        alive = {name: process for name, process in processes.items() if process is not None}
        self.folder.save(State(settings=_without_secrets(self.settings), programs=alive))

    @staticmethod
    def _each(*starts: Callable[[], EmbeddedServer]) -> None:
        """Start servers side by side."""
        with ThreadPoolExecutor(len(starts)) as threads:
            for started in [threads.submit(start) for start in starts]:
                started.result()


def _without_secrets(settings: Settings) -> Settings:
    return msgspec.structs.replace(
        settings,
        database=only_sizes(settings.database),
        nats=NatsSettings(),
        keys=KeySettings(),
        mail=msgspec.structs.replace(settings.mail, smtp_password=None),
    )


def _refuse_foreign(settings: Settings) -> None:
    """Servers and keys named from outside would be ignored without a word."""
    sizes = only_sizes(settings.database)
    given = {
        "database": settings.database != sizes,
        "nats": settings.nats != NatsSettings(),
        "keys": settings.keys != KeySettings(),
    }
    named = [section for section, is_given in given.items() if is_given]
    if named:
        raise ConfigurationError(
            f"`crossdock up` brings servers and keys of its own, but your settings name others"
            f" ({', '.join(named)}): unset those, or run `crossdock migrate`, `crossdock gateway`"
            " and `crossdock worker` beside your servers."
        )
