"""The shards that a worker works for: each by itself, the new ones within seconds."""

import asyncio
from typing import Final

import structlog

from crossdock.db import Database
from crossdock.errors import ConfigurationError, Unavailable
from workers.flow import Flow
from workers.until import Until

LOOK_EVERY_S: Final = 1.0
"""How often to see whether there is a new shard; the list itself is read less often."""

AGAIN_S: Final = 5.0
"""When to try a shard again that is set up wrongly."""

FIRST: Final = 0
"""The shard that is known without asking: its database is the one that the settings name."""

log = structlog.get_logger(__name__)


class Shards:
    """Starts a flow for each shard, and lets none of them wait for another."""

    def __init__(self, flow: Flow, until: Until) -> None:
        self._flow = flow
        self._until = until
        self._wanted = frozenset(flow.settings.worker.shards)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    @property
    def numbers(self) -> list[int]:
        """Return the shards that are worked for."""
        return sorted(self._tasks)

    async def run(self) -> None:
        """Start what is new, until the end; then wait until all of them have drained."""
        while True:
            for number, database in (await self._listed()).items():
                if number not in self._tasks and self._is_wanted(number):
                    work = self._work(number, database)
                    self._tasks[number] = self._until.start(f"shard {number}", work)
            if await self._until.comes_within(LOOK_EVERY_S):
                break
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _work(self, number: int, database: Database) -> None:
        """Work for a shard; one that is set up wrongly must not end what is done for the others.

        Raises:
            ConfigurationError: the first shard is: nothing can be done without it.
            ProcessFailed: a role broke.
        """
        log.info("shard_started", shard=number)
        while True:
            try:
                with self._until.part() as until:
                    await self._flow.run(database, until)
            except ConfigurationError as error:
                if number == FIRST:
                    raise
                log.error("shard_refused", shard=number, reason=str(error))
            if await self._until.comes_within(AGAIN_S):
                return

    def _is_wanted(self, number: int) -> bool:
        return not self._wanted or number in self._wanted

    async def _listed(self) -> dict[int, Database]:
        """Return the shards there are; the first, while the control database has yet to say."""
        databases = self._flow.databases
        try:
            return dict(await self._until.either(databases.shards()) or {})
        except Unavailable as error:
            log.debug("shards_unlisted", reason=str(error))
            return {FIRST: databases.shard(FIRST)}
