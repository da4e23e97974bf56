"""Has a broker whose disk was full write again, once there is room.

A stream that has met a full disk refuses every write from then on, however much room there is
later, until its server starts anew (nats-server 2.15). Nothing that was acknowledged is harmed.
"""

import shutil
from threading import Event, Thread
from typing import Final

import structlog

from crossdock.embedded import EmbeddedNats

log = structlog.get_logger(__name__)

POLL_S: Final = 0.5
FULL: Final = 1024 * 1024
"""Bytes that are left of a disk that is as good as full."""
ROOM: Final = 8 * 1024 * 1024
"""Bytes that must be free before another try makes sense."""
MARKS: Final = ("critical write error", "no space left on device")
"""What the server's log says of it, in lower case."""


class Mender(Thread):
    """Ends a broker that has met a full disk when there is room again; its keeper starts it.

    It goes by the disk and by the server's log, for either may miss it: a disk may be full for a
    moment only, and a log that is on the full disk itself takes no more lines.
    """

    def __init__(self, nats: EmbeddedNats, stopping: Event) -> None:
        super().__init__(name="mender", daemon=True)
        self._nats = nats
        self._stopping = stopping
        self._read = self._log_size()
        self._was_full = False

    def run(self) -> None:
        """Watch, for as long as the stack runs."""
        while not self._stopping.wait(POLL_S):
            self._look()

    def _look(self) -> None:
        try:
            free = shutil.disk_usage(self._nats.folder).free
        except OSError:
            return
        if (free < FULL or self._is_told()) and not self._was_full:
            self._was_full = True
            log.error("broker_disk_full", folder=str(self._nats.folder))
        if self._was_full and free >= ROOM:
            self._was_full = False
            log.warning("broker_restarts", reason="its disk was full and has room again")
            self._nats.stop()
            self._read = self._log_size()

    def _is_told(self) -> bool:
        """Tell whether the log speaks of it since it was last read."""
        size = self._log_size()
        start, self._read = min(self._read, size), size
        if size == start:
            return False
        with self._nats.log.open("rb") as file:
            file.seek(start)
            words = file.read(size - start).decode(errors="replace").lower()
        return any(mark in words for mark in MARKS)

    def _log_size(self) -> int:
        try:
            return self._nats.log.stat().st_size
        except OSError:
            return 0
