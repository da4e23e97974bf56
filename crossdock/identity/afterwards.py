"""Work that is done after the answer, so that the time to the answer says nothing of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from crossdock.errors import Busy, CrossdockError

AT_ONCE: Final = 4
"""Of them, how many run at a time."""

WAITING: Final = 256
"""How many may be under way or wait; over it the answer is 503."""

log = structlog.get_logger(__name__)


class Afterwards:
    """A bounded number of tasks. What fails is logged: nobody waits for it any more."""

    def __init__(self, *, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._limit = waiting
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Have something done soon; `what` names it in the log.

        Raises:
            Busy: too much waits already.
        """
        if len(self._tasks) >= self._limit:
            raise Busy
        task = asyncio.create_task(self._run(what, work), name=what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Return when everything that was put is done."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        async with self._places:
            try:
                await work()
            except CrossdockError as error:
                log.warning("afterwards_failed", work=what, reason=str(error))
            except Exception:
                log.exception("afterwards_failed", work=what)
