"""What the embedded servers have in common: one child process, one data folder, one port."""

import errno
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections import deque
from pathlib import Path
from signal import Signals
from threading import RLock
from types import TracebackType
from typing import ClassVar, Final, Self

import msgspec

from crossdock.embedded import ports
from crossdock.embedded.account import Account, make_folder
from crossdock.embedded.deadline import Deadline
from crossdock.embedded.identity import Identity, descendants
from crossdock.embedded.secrets import SecretFolder, write_private
from crossdock.embedded.spawn import spawn
from crossdock.errors import ConfigurationError, ProcessFailed

LOG_LINES: Final = 12
LOG_BYTES: Final = 16 * 1024 * 1024
POLL_S: Final = 0.01
STAND_S: Final = 5.0
"""How long a process may take until it stands still."""
ADDRESS_IN_USE: Final = ("address already in use", os.strerror(errno.EADDRINUSE).lower())


class _Record(msgspec.Struct, frozen=True):
    """What is remembered between runs."""

    port: int
    process: Identity | None = None


class EmbeddedServer(ABC):
    """A server of ours. Its methods block, and may be called from any thread.

    As a context manager it is started and stopped. Whatever happens to this process, the server
    does not outlive it.
    """

    name: ClassVar[str]
    transient: ClassVar[tuple[str, ...]] = ()
    """Parts of log lines that say: it did not start, but will if asked again in a moment."""
    stop_signals: ClassVar[tuple[tuple[Signals, float], ...]]
    """How to stop it: signals, and the seconds to wait after each before the next."""
    death_signal: ClassVar[Signals]
    """What it gets when we die."""

    def __init__(
        self, data: Path, *, port: int | None = None, start_timeout_s: float = 20.0
    ) -> None:
        """Say where; nothing is touched before `start`.

        Args:
            data: the data folder, which several servers may share.
            port: where to listen; unless given, a free port is taken and remembered.
            start_timeout_s: how long it may take until it serves.
        """
        self.data = data
        self.folder = data / self.name
        self.log = data / "logs" / f"{self.name}.log"
        self.secrets = SecretFolder(data / "secrets")
        self.start_timeout_s = start_timeout_s
        self.account: Account | None = None
        self._wanted_port = port
        self._record_path = data / f"{self.name}.json"
        self._record = self._read_record()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_known = False
        self._lock = RLock()

    @property
    def port(self) -> int:
        """Where it listens; known from the first start on."""
        if self._wanted_port is not None:
            return self._wanted_port
        if self._record is None:
            raise ProcessFailed(f"{self.name} has never been started, so it has no port yet.")
        return self._record.port

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process is not None and self.is_running() else None

    @property
    def process(self) -> Identity | None:
        """The process as the record has it, whoever started it; `None` where none runs."""
        record = self._read_record()
        found = None if record is None else record.process
        return found if found is not None and found.is_alive() else None

    def is_running(self) -> bool:
        """Tell whether the process is there, be it ready or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start, and wait until it serves.

        Raises:
            ConfigurationError: it can't run here; the message says how to mend that.
            ProcessFailed: it ended or was not ready in time; the message has its last log lines.
        """
        with self._lock:
            if self.is_running():
                return self
            deadline = Deadline(self.start_timeout_s)
            self._make_folders()
            self._end_left_over()
            self._prepare()
            while not self._start_once(deadline):
                pass
            self._is_known = True
            return self

    def stop(self) -> None:
        """Stop in good order, by force where that takes too long."""
        with self._lock:
            self._end(self.stop_signals)

    def kill(self) -> None:
        """End it as a crash would: no warning, nothing flushed."""
        with self._lock:
            self._end(())

    def abandon(self) -> None:
        """Send the signal it gets when we die, and wait for nothing; for signal handlers."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(self.death_signal)

    def restart(self) -> Self:
        """Stop in good order and start again, on the same port."""
        with self._lock:
            self.stop()
            return self.start()

    def pause(self) -> None:
        """Stop the world for it and its children: connections stay open, nothing answers.

        Returns when they stand: a signal is only a request, which a busy machine grants late.
        """
        self._signal_all(signal.SIGSTOP)
        with self._lock:
            own = None if self._process is None else Identity.of(self._process.pid)
            if own is not None:
                everybody = [own, *descendants(own.pid)]
                Deadline(STAND_S).wait_for(lambda: all(one.stands() for one in everybody))

    def resume(self) -> None:
        """Undo `pause`."""
        self._signal_all(signal.SIGCONT)

    def wait(self) -> int:
        """Wait until the process ends, for whatever reason, and return its exit code."""
        process = self._process
        return 0 if process is None else process.wait()

    def last_log_lines(self) -> str:
        """Return the end of the server's log."""
        try:
            with self.log.open(encoding="utf-8", errors="replace") as file:
                return "".join(deque(file, LOG_LINES)).rstrip()
        except OSError:
            return ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @abstractmethod
    def _prepare(self) -> None:
        """Make what the server needs in its folder before each start."""

    @abstractmethod
    def _command(self, port: int) -> list[str]:
        """Return the program and its arguments, to be run inside the folder."""

    @abstractmethod
    def _is_ready(self, pid: int, port: int) -> bool:
        """Tell whether that process serves."""

    def _make_folders(self) -> None:
        make_data_folder(self.data)
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        self.account = Account.for_folder(self.folder)
        make_folder(self.folder, self.account)

    def _end_left_over(self) -> None:
        """End the server of an earlier process that died and could not take it along."""
        self._record = self._read_record()
        if self._record is not None and self._record.process is not None:
            orphans = descendants(self._record.process.pid)
            self._record.process.end(self.death_signal, 5.0)
            _outlast(orphans)

    def _start_once(self, deadline: Deadline) -> bool:
        """Start and wait; return `False` where trying again is worth it."""
        port = self._choose_port()
        self._rotate_log()
        said = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab", opener=_private) as output:
            process = spawn(
                self._command(port),
                folder=self.folder,
                environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                output=output,
                death_signal=self.death_signal,
                account=self.account,
            )
        self._process = process
        self._remember(_Record(port, Identity.of(process.pid)))
        ended = self._wait_until_ready(process, port, deadline)
        if not ended:
            return True
        words = self._log_since(said).lower()
        told = self._is_known or self._wanted_port is not None
        if any(word in words for word in ADDRESS_IN_USE) and not told:
            self._record = None  # somebody was quicker: take another
        elif not any(word in words for word in self.transient):
            deadline = Deadline(0)
        if deadline.left == 0:
            raise ProcessFailed(
                f"{self.name} ended at its start with exit code {process.returncode}."
                f" Its log, {self.log}, ends:\n{self.last_log_lines()}"
            )
        return False

    def _wait_until_ready(
        self, process: "subprocess.Popen[bytes]", port: int, deadline: Deadline
    ) -> bool:
        """Return whether it ended instead."""
        while not self._is_ready(process.pid, port):
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                if deadline.left == 0:
                    self._end(())
                    raise ProcessFailed(
                        f"{self.name} was not ready within {self.start_timeout_s:.0f} s."
                        f" Its log, {self.log}, ends:\n{self.last_log_lines()}"
                    ) from None
            else:
                return True
        return False

    def _choose_port(self) -> int:
        if self._wanted_port is not None:
            if (reason := ports.obstacle(self._wanted_port)) is not None:
                raise ConfigurationError(
                    f"Port {self._wanted_port}, asked for {self.name}: {reason}. Name another."
                )
            return self._wanted_port
        if self._record is not None and (self._is_known or ports.is_free(self._record.port)):
            return self._record.port  # clients that were told of it count on it
        return ports.free_port()

    def _end(self, signals: tuple[tuple[Signals, float], ...]) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            family = descendants(process.pid)
            if signals:
                self.resume()
            for number, grace_s in signals:
                process.send_signal(number)
                try:
                    process.wait(grace_s)
                    break
                except subprocess.TimeoutExpired:
                    continue
            process.kill()
            process.wait()
            _outlast(family)
        self._process = None
        if self._record is not None:
            self._remember(_Record(self._record.port))

    def _signal_all(self, number: Signals) -> None:
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                for relative in descendants(self._process.pid):
                    relative.signal(number)
                self._process.send_signal(number)

    def _read_record(self) -> _Record | None:
        try:
            return msgspec.json.decode(self._record_path.read_bytes(), type=_Record)
        except (FileNotFoundError, PermissionError, msgspec.DecodeError):
            return None

    def _remember(self, record: _Record) -> None:
        self._record = record
        write_private(self._record_path, msgspec.json.encode(record).decode())

    def _rotate_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))

    def _log_since(self, position: int) -> str:
        with self.log.open(encoding="utf-8", errors="replace") as file:
            file.seek(position)
            return file.read()


def make_data_folder(folder: Path) -> None:
    """Make a data folder, unless it is there; others may pass through it to what they own.

    Raises:
        ConfigurationError: it can't be made.
    """
    try:
        folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be made: {error.strerror}.") from error


def _outlast(family: list[Identity]) -> None:
    """Wait until the children of an ended server are gone; end those that stay."""
    if not Deadline(2.0).wait_for(lambda: not any(each.is_alive() for each in family)):
        for each in family:
            each.end(signal.SIGKILL, 1.0)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
