"""A Python program of ours as a child: the gateway or a worker."""

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, RLock, Thread
from typing import Final

from crossdock.embedded.deadline import Deadline
from crossdock.embedded.identity import Identity
from crossdock.embedded.spawn import spawn
from crossdock.errors import ProcessFailed
from crossdock.supervisor.readiness import is_ready

POLL_S: Final = 0.05
LAST_LINES: Final = 12

Sink = Callable[[str, bytes], object]
"""Takes a program's name and one line it wrote."""


class Program:
    """One `crossdock` command as a child process that tells over HTTP when it is ready."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        *,
        environment: Mapping[str, str],
        ready_url: str,
        start_timeout_s: float,
        grace_s: float,
        stopping: Event,
        sink: Sink,
    ) -> None:
        """Say what; nothing is started before `start`.

        Args:
            name: what its lines are marked with.
            arguments: of the `crossdock` command line.
            environment: all of it, no more.
            ready_url: answers 200 once the program can do its work.
            start_timeout_s: how long that may take.
            grace_s: how long it may take to finish what it has begun when asked to stop.
            stopping: once set, it is started no more and waited for no longer.
            sink: where its lines go.
        """
        self.name = name
        self._arguments = arguments
        self._environment = environment
        self._ready_url = ready_url
        self._start_timeout_s = start_timeout_s
        self._grace_s = grace_s
        self._stopping = stopping
        self._sink = sink
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: Thread | None = None
        self._last: deque[bytes] = deque(maxlen=LAST_LINES)
        self._lock = RLock()

    def identity(self) -> Identity | None:
        """Return the process, if it runs."""
        return None if self._process is None else Identity.of(self._process.pid)

    def launch(self) -> None:
        """Start, and don't wait."""
        with self._lock:
            if self._stopping.is_set():
                raise ProcessFailed(f"{self.name} is not to be started any more.")
            self._last.clear()
            self._process = spawn(
                command(*self._arguments),
                folder=Path.cwd(),
                environment=self._environment,
                output=subprocess.PIPE,
                death_signal=signal.SIGKILL,
                watchdog=True,
            )
            self._reader = Thread(target=self._forward, args=(self._process,), daemon=True)
            self._reader.start()

    def wait_until_ready(self) -> None:
        """Wait until it can do its work.

        Raises:
            ProcessFailed: it ended, or took too long; the message has its last lines.
        """
        process = self._running()
        deadline = Deadline(self._start_timeout_s)
        while not is_ready(self._ready_url):
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                if deadline.left == 0 or self._stopping.is_set():
                    self._end_group(process)
                    raise ProcessFailed(
                        f"{self.name} was not ready within {self._start_timeout_s:.0f} s."
                        f"{self._last_words()}"
                    ) from None
            else:
                raise ProcessFailed(
                    f"{self.name} ended at its start with exit code {process.returncode}."
                    f"{self._last_words()}"
                )

    def start(self) -> None:
        """Start, and wait until it can do its work; raises as `wait_until_ready` does."""
        self.launch()
        self.wait_until_ready()

    def wait(self) -> int:
        """Wait until it ends, and clear away what it may have left of itself."""
        process = self._running()
        code = process.wait()
        self._end_group(process)
        return code

    def stop(self) -> None:
        """Let it finish what it has begun, within its grace; for good."""
        with self._lock:
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            self._sink(self.name, b"did not stop in time and was killed")
        self._end_group(process)
        if self._reader is not None:
            self._reader.join(1.0)

    def kill(self) -> None:
        """Send it and all it started the signal that nobody survives; waits for nothing."""
        if self._process is not None and self._process.returncode is None:
            _kill_group(self._process.pid)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise ProcessFailed(f"{self.name} has not been started.")
        return self._process

    def _end_group(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill whatever is left of the program's process group, which it leads."""
        _kill_group(process.pid)
        process.wait()

    def _forward(self, process: "subprocess.Popen[bytes]") -> None:
        if process.stdout is None:
            return
        with process.stdout as lines:
            for line in lines:
                self._last.append(line)
                self._sink(self.name, line)

    def _last_words(self) -> str:
        if self._reader is not None:
            self._reader.join(1.0)
        words = b"".join(self._last).decode("utf-8", "replace").rstrip()
        return f" It said:\n{words}" if words else ""


def _kill_group(leader: int) -> None:
    # macOS answers for a group of zombies that it isn't permitted.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def command(*arguments: str) -> list[str]:
    """Return how to run our own command line with this Python, whatever the working directory."""
    return [sys.executable, "-P", "-m", "crossdock.cli.app", *arguments]
