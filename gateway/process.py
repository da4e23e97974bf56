"""One gateway process, tied to its parent."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from typing import Final

PR_SET_PDEATHSIG: Final = 1
LOOK_EVERY_S: Final = 1.0


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
