"""The end of a worker: a signal, or a part of it that broke."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import structlog

from crossdock.errors import ConfigurationError, CrossdockError, ProcessFailed

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Until:
    """What everything in a worker, or in a part of it, waits for, and who may bring it about."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._broke: CrossdockError | None = None
        self._parts: set[Until] = set()

    @contextmanager
    def part(self) -> Iterator["Until"]:
        """Give the end of a part: it comes with the whole's, or before; see `check`."""
        part = Until()
        if self._stop.is_set():
            part.stop()
        self._parts.add(part)
        try:
            yield part
        finally:
            self._parts.discard(part)

    def stop(self) -> None:
        """End it, and all of its parts."""
        self._stop.set()
        for part in self._parts:
            part.stop()

    async def stopped(self) -> None:
        """Wait for the end."""
        await self._stop.wait()

    async def comes_within(self, seconds: float) -> bool:
        """Wait for the end no longer than that; tell whether it came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        return self._stop.is_set()

    async def either(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return what comes of some work, or `None` if the end comes first."""
        task, end = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            end.cancel()
            task.cancel()
        return None

    def start(self, role: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a part that should run to the end; if it breaks, that is the end."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._note(role, error)

        task = asyncio.create_task(work, name=role)
        task.add_done_callback(ended)
        return task

    def check(self) -> None:
        """Raise what ended it, if nobody told it to end.

        Raises:
            ConfigurationError: what a part of it said.
            ProcessFailed: a part of it broke; the log says how.
        """
        if self._broke is not None:
            raise self._broke

    def _note(self, role: str, error: BaseException) -> None:
        self._broke = _told(error)
        if self._broke is None:
            log.error("role_broke", role=role, exc_info=error)
            self._broke = ProcessFailed(f"The role {role} broke; the log says why.")
        self.stop()


def _told(error: BaseException) -> CrossdockError | None:
    """Return what an error, or a group of them, tells the operator; `None` where nothing does."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_told, error.exceptions)), None)
    return error if isinstance(error, ConfigurationError | ProcessFailed) else None


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task, and wait for its end."""
    task.cancel()
    await asyncio.wait({task})
