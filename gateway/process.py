"""One gateway process: tied to its parent, its memory tuned for many short-lived objects."""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
from typing import Final

PR_SET_PDEATHSIG: Final = 1
LOOK_EVERY_S: Final = 1.0

COLLECT_AFTER: Final = 25_000
"""Objects made since the last collection of the youngest. At the interpreter's 700, a tenth of an
ingest's time went into looking through requests under way for garbage that is not there."""


def die_with_parent() -> None:
    """Get SIGTERM, and so drain and end, when the parent ends in whatever way.

    A killed server must leave no orphans behind. Linux has a signal for it (prctl(2),
    PR_SET_PDEATHSIG); elsewhere a thread looks who the parent is.
    """
    server = multiprocessing.parent_process()
    parent = os.getppid() if server is None or server.pid is None else server.pid
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it ended before that
        os.kill(os.getpid(), signal.SIGTERM)


def _watch(parent: int) -> None:
    never = threading.Event()
    while os.getppid() == parent:
        never.wait(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)


def settle_memory() -> None:
    """Call once everything is open: what is there now stays, so no collection looks at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
