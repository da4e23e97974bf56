"""What an error means for the messages that met it: the one table from errors to outcomes.

| error | outcome |
| --- | --- |
| `Unavailable` (database, broker) | the batch is kept and tried again; it counts for nothing |
| a message is poison (`inbound.persist.Poison`) | it goes to POISON with its reason, and ends |
| anything else | the batch is halved until what breaks is alone; it comes again later |
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from crossdock.errors import Unavailable

FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 2.0

log = structlog.get_logger(__name__)

T = TypeVar("T")


async def patiently(
    what: str,
    work: Callable[[], Awaitable[T]],
    *,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> T:
    """Do something as soon as what it needs is there, however long that takes.

    Args:
        what: for the log, which says once that it waits and once that it goes on.
        work: tried until it raises no `Unavailable`.
        meanwhile: called before each further try.
    """
    wait = FIRST_WAIT_S
    while True:
        try:
            done = await work()
        except Unavailable as error:
            if wait == FIRST_WAIT_S:
                log.warning("work_waits", what=what, reason=str(error))
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_S)
            if meanwhile is not None:
                await meanwhile()
        else:
            if wait != FIRST_WAIT_S:
                log.info("work_goes_on", what=what)
            return done
