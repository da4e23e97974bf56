"""A worker that dies at a given moment of persisting: `python -m tests.beds.doomed MOMENT < batch`.

Standard input is one `Doom`. The process kills itself with SIGKILL, so that nothing of Python runs
any more: no rollback, no close, no answer.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec

from crossdock.config import DatabaseSettings
from crossdock.db import Database
from crossdock.inbound.persist import Persister, decode, store
from crossdock.inbound.persist.model import Arrival
from proto import ingest

Moment = Literal["midway", "before_commit", "after_commit"]


class Doom(msgspec.Struct):
    """What to persist, where, and when to die."""

    settings: DatabaseSettings
    moment: Moment
    messages: list[tuple[bytes, int]]


async def kill(doomed: Doom) -> None:
    """Run the program until it has killed itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.beds.doomed"),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate(msgspec.msgpack.encode(doomed))
    assert process.returncode == -signal.SIGKILL, errors.decode()


def doom(settings: DatabaseSettings, moment: Moment, batch: list[Arrival]) -> Doom:
    """Return what kills a worker over a batch."""
    return Doom(
        settings, moment, [(ingest.encoder.encode(one.message), one.stream_seq) for one in batch]
    )


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _Doomed(Database):
    """Dies around COMMIT."""

    moment: Moment

    @asynccontextmanager
    async def batch(
        self,
        role: Literal["ingest", "dispatch"],
        tenant_ids: Collection[UUID],
        *,
        numbered: bool = False,
    ) -> AsyncIterator[asyncpg.Connection]:
        async with super().batch(role, tenant_ids, numbered=numbered) as connection:
            yield connection
            if self.moment == "before_commit":
                _die()
        if self.moment == "after_commit":
            _die()


async def _run(given: Doom) -> None:
    database = await _Doomed.open(given.settings, ["ingest"])
    database.moment = given.moment
    if given.moment == "midway":

        async def dying(*_arguments: Any) -> None:
            _die()

        vars(store)["add_new"] = dying  # what has no key is stored by then
    arrivals = [decode(data, seq) for data, seq in given.messages]
    assert all(isinstance(one, Arrival) for one in arrivals)
    await Persister(database, lease_s=60.0).persist(arrivals)  # type: ignore[arg-type]


if __name__ == "__main__":
    asyncio.run(_run(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Doom)))
