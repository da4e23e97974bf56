"""Becomes a server: drops rights, ties its life to ours, then executes the program.

Run as a script by `crossdock.embedded.spawn`, with nothing but the standard library:
`launch.py PARENT DEATH_SIGNAL UID GID LIFELINE PROGRAM ARGUMENT…`. A `-` for PARENT arms no parent
death signal, for UID and GID keeps the user, for LIFELINE leaves no watchdog.

Python offers to run code between fork and exec, but that is unsafe in a process with threads; a
program that executes the next one is not. The order matters: changing the user clears the parent
death signal, so that is asked for last.
"""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
POLL_MS = 1000


def main(parent: str, death_signal: str, uid: str, gid: str, lifeline: str, *program: str) -> None:
    """Drop rights, arm the tie to the parent, execute."""
    os.umask(0o077)
    prctl = None if parent == "-" else _prctl()  # before our rights to read the library are gone
    if uid != "-":
        try:
            os.setgroups([])
            os.setgid(int(gid))
            os.setuid(int(uid))
        except PermissionError:
            sys.exit("Root may not become another user here: start as a normal user.")
    if prctl is not None:
        _die_with_parent(prctl, int(death_signal), int(parent))
    if lifeline != "-":
        _leave_watchdog(int(death_signal), int(lifeline))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and exec would hand that on
    os.execv(program[0], program)  # noqa: S606 - no shell is what we want


def _prctl() -> Callable[..., int]:
    import ctypes  # noqa: PLC0415 - only where there is a prctl

    found: Callable[..., int] = ctypes.CDLL(None).prctl
    return found


def _die_with_parent(prctl: Callable[..., int], death_signal: int, parent: int) -> None:
    if prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError("This system refuses a parent death signal.")
    if os.getppid() != parent:  # it died before the signal was armed
        sys.exit("The process that asked for this one is gone.")


def _leave_watchdog(death_signal: int, lifeline: int) -> None:
    """Fork a watcher that ends our group when the lifeline's other end closes, or we are gone."""
    server = os.getpid()
    if os.fork() != 0:
        os.close(lifeline)
        return
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    watch = select.poll()
    watch.register(lifeline, select.POLLIN | select.POLLHUP)
    while os.getppid() == server and not watch.poll(POLL_MS):
        pass
    with contextlib.suppress(OSError):  # nobody may be left
        os.killpg(server, death_signal)
    os._exit(0)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as failure:
        sys.exit(f"{sys.argv[6]} can't be started: {failure}")
