"""Tells a process from a later one that was given the same number."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import Signals
from typing import Final, Self

import msgspec

from crossdock.embedded.deadline import Deadline

IS_LINUX: Final = bool(sys.platform == "linux")  # a type checker must see both worlds
PROC: Final = Path("/proc")
PARENT: Final = 1
STARTED: Final = 19
"""Positions in `/proc/PID/stat` behind the name, which may itself hold blanks and brackets."""


class Identity(msgspec.Struct, frozen=True):
    """A process: its number, and the moment it started as this system tells it."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the process of that number; `None` if there is none, or only a zombie."""
        started = _started(pid)
        return None if started is None else cls(pid, started)

    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        return _started(self.pid) == self.started

    def stands(self) -> bool:
        """Tell whether every thread of it has been stopped by SIGSTOP, or is gone."""
        if not IS_LINUX:
            return not self.is_alive() or _ps("-o", "stat=", "-p", str(self.pid)).startswith("T")
        states = [_state(task) for task in (PROC / str(self.pid)).glob("task/*/stat")]
        return all(state in "TZX" for state in states)

    def signal(self, number: Signals) -> None:
        """Send a signal, unless it is gone."""
        if self.is_alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def end(self, gentle: Signals, grace_s: float) -> None:
        """End it: gently first, by force after some seconds."""
        self.signal(signal.SIGCONT)  # a stopped process hears nothing else
        for number, wait_s in ((gentle, grace_s), (signal.SIGKILL, grace_s)):
            self.signal(number)
            if Deadline(wait_s).wait_for(lambda: not self.is_alive()):
                return


def descendants(pid: int) -> list[Identity]:
    """Return the children of a process and theirs."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        direct = children.get(waiting.pop(), [])
        found += direct
        waiting += direct
    return [identity for each in found if (identity := Identity.of(each)) is not None]


def _started(pid: int) -> str | None:
    if IS_LINUX:
        fields = _stat(pid)
        return None if fields is None or fields[0] in "ZX" else f"{_boot()}:{fields[STARTED]}"
    listing = _ps("-o", "stat=,lstart=", "-p", str(pid)).split(maxsplit=1)
    return None if not listing or listing[0].startswith("Z") else listing[1].strip()


def _parents() -> Iterator[tuple[int, int]]:
    if IS_LINUX:
        for entry in PROC.iterdir():
            if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
                yield int(entry.name), int(fields[PARENT])
        return
    for line in _ps("-A", "-o", "pid=,ppid=").splitlines():
        pid, parent = line.split()
        yield int(pid), int(parent)


def _stat(pid: int) -> list[str] | None:
    return _fields(PROC / str(pid) / "stat")


def _state(stat: Path) -> str:
    fields = _fields(stat)
    return "X" if fields is None else fields[0]


def _fields(stat: Path) -> list[str] | None:
    try:
        text = stat.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def _boot() -> str:
    """Which boot this is: start times count from it."""
    return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _ps(*options: str) -> str:
    command = ["/bin/ps", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout
