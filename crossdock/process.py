"""One process among others: tied to its parent, and polite to its neighbours."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Final

PR_SET_PDEATHSIG: Final = 1
LOOK_EVERY_S: Final = 1.0
LEAST_URGENT: Final = 19


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Get a signal, by default to drain and end, when the parent ends in whatever way.

    A killed server must leave no orphans behind. Linux has a signal for it (prctl(2),
    PR_SET_PDEATHSIG); elsewhere a thread looks who the parent is.
    """
    server = multiprocessing.parent_process()
    parent = os.getppid() if server is None or server.pid is None else server.pid
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent, number), daemon=True).start()
    if os.getppid() != parent:  # it ended before that
        os.kill(os.getpid(), number)


def take_turns() -> None:
    """Schedule this process and its children so that no thread throws out the one that woke it.

    A gateway's threads pass each request to one another and run under one lock, so a thread that is
    woken on a busy processor can do nothing yet but evict its waker: measured, every third request
    cost two such switches, a sixth of its CPU. Linux calls it SCHED_BATCH (sched(7)); anyone may
    choose it for himself.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def step_back() -> None:
    """Take what processor time the others leave, and never throw one of them out.

    Nice 19 under SCHED_BATCH, and not SCHED_IDLE: where everybody is busy all the time, that would
    leave it 3 parts of 1,024, and whoever waits for a sixth of a second of work, a minute.
    """
    take_turns()
    with suppress(OSError):
        os.nice(LEAST_URGENT)


def _watch(parent: int, number: signal.Signals) -> None:
    never = threading.Event()
    while os.getppid() == parent:
        never.wait(LOOK_EVERY_S)
    os.kill(os.getpid(), number)
