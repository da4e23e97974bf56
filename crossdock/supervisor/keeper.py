"""Keeps one part of the stack alive."""

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Protocol

import structlog

from crossdock.backoff import Backoff
from crossdock.errors import ConfigurationError, ProcessFailed

log = structlog.get_logger(__name__)


class Part(Protocol):
    """A process that is kept alive: a server or one of our programs."""

    @property
    def name(self) -> str:
        """What it is called in logs."""

    def start(self) -> object:
        """Start, and wait until it can do its work."""

    def wait(self) -> int:
        """Wait until it ends."""


class Keeper(Thread):
    """Starts a part again whenever it ends, until told that this is meant."""

    def __init__(self, part: Part, stopping: Event, changed: Callable[[], None]) -> None:
        super().__init__(name=f"keeper-{part.name}", daemon=True)
        self._part = part
        self._stopping = stopping
        self._changed = changed
        self._backoff = Backoff()

    def run(self) -> None:
        """Watch, for as long as the stack runs."""
        started = time.monotonic()
        while True:
            code = self._part.wait()
            if self._stopping.is_set():
                return
            log.warning("part_ended", part=self._part.name, exit_code=code)
            while not self._revive(time.monotonic() - started):
                if self._stopping.is_set():
                    return
                started = time.monotonic()
            started = time.monotonic()

    def _revive(self, ran_s: float) -> bool:
        if self._stopping.wait(self._backoff.delay(ran_s)):
            return False
        try:
            self._part.start()
        except (ProcessFailed, ConfigurationError, OSError) as error:
            if not self._stopping.is_set():
                log.error("part_not_started", part=self._part.name, reason=str(error))
            return False
        log.info("part_started", part=self._part.name)
        self._changed()
        return True
