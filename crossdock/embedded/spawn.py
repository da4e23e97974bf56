"""Starts children that can't outlive this process.

Linux delivers the parent death signal when the *thread* that forked ends, so every child is forked
by one thread that lives as long as the process. Elsewhere, and where a child has children of its
own, a watchdog beside it waits for the end of a pipe that only we hold open.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from signal import Signals
from typing import IO, Final

from crossdock.embedded import launch
from crossdock.embedded.account import Account

HAS_DEATH_SIGNAL: Final = sys.platform == "linux"
_Job = tuple[
    "Future[subprocess.Popen[bytes]]", list[str], Path, dict[str, str], "Output", int | None
]
Output = IO[bytes] | int


class _Forker:
    """The thread that forks."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._lock = threading.Lock()
        self._pid: int | None = None

    def fork(self, job: _Job) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._pid != os.getpid():  # the first time, or we are ourselves a fork
                self._jobs = SimpleQueue()
                threading.Thread(target=self._run, args=(self._jobs,), daemon=True).start()
                self._pid = os.getpid()
        self._jobs.put(job)
        return job[0].result()

    @staticmethod
    def _run(jobs: "SimpleQueue[_Job]") -> None:
        while True:
            future, command, folder, environment, output, lifeline = jobs.get()
            try:
                child = subprocess.Popen(  # noqa: S603 - our own launcher
                    command,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a Ctrl-C is ours to hand on, in order
                    pass_fds=() if lifeline is None else (lifeline,),
                )
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                future.set_exception(error)
            else:
                future.set_result(child)


_forker = _Forker()
_lifeline: tuple[int, int] | None = None
_lifeline_lock = threading.Lock()


def spawn(
    program: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    output: Output,
    death_signal: Signals,
    account: Account | None = None,
    watchdog: bool = False,
) -> "subprocess.Popen[bytes]":
    """Start a program inside a folder, in a session of its own; it gets the signal when we die.

    Args:
        program: its path and arguments.
        folder: its working directory.
        environment: all of it, no more.
        output: takes standard output and standard error: a file, or what `subprocess` takes.
        death_signal: what it gets.
        account: whom it runs as; `None` is as we are.
        watchdog: send the signal to its whole process group, also when only it has died.

    Raises:
        OSError: the folder can't be entered or this Python can't be executed.
    """
    lifeline = _lifeline_end() if watchdog or not HAS_DEATH_SIGNAL else None
    command = [
        sys.executable,
        "-I",  # nothing in the folder or the environment may be imported
        "-S",
        launch.__file__,
        str(os.getpid()) if HAS_DEATH_SIGNAL else "-",
        str(int(death_signal)),
        "-" if account is None else str(account.uid),
        "-" if account is None else str(account.gid),
        "-" if lifeline is None else str(lifeline),
        *program,
    ]
    return _forker.fork((Future(), command, folder, dict(environment), output, lifeline))


def _lifeline_end() -> int:
    """Return the reading end of the pipe whose writing end closes when this process dies."""
    global _lifeline  # noqa: PLW0603 - one pipe a process
    with _lifeline_lock:
        if _lifeline is None:
            _lifeline = os.pipe()
        return _lifeline[0]
