"""Events that are held or quarantined, who releases them, and one who dies doing it.

`python -m tests.beds.releasing < doom` kills itself with SIGKILL at a moment of releasing.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from crossdock import ids
from crossdock.config import DatabaseSettings
from crossdock.db import Database
from crossdock.inbound.cloud_events import Announced
from crossdock.inbound.persist import Arrival, Persister
from crossdock.inbound.release import Releaser
from tests.beds.world import Tenant, World

Moment = Literal["before_announcing", "before_commit", "after_commit"]
INLINE: int = 1024
_FIXED = (
    "INSERT INTO crossdock.releases (tenant_id, id, source_id, event_id) VALUES ($1, $2, $3, $4)"
)


class Doom(msgspec.Struct):
    """Where to release, and when to die."""

    settings: DatabaseSettings
    moment: Moment


class Told:
    """What internal consumers would have heard."""

    def __init__(self) -> None:
        self.events: list[Announced] = []

    async def __call__(self, events: Sequence[Announced]) -> None:
        """Hear of events."""
        self.events += events

    @property
    def ids(self) -> list[UUID]:
        """Return the events in the order in which they were heard of."""
        return [event.event_id for event in self.events]


def releaser(database: Database, told: Told, **options: float) -> Releaser:
    """Return one that takes no settled time, unless told."""
    return Releaser(database, told, inline_bytes=INLINE, **({"settled_s": 0.0} | options))  # type: ignore[arg-type]


class Stock:
    """Puts events into a database that wait to be released."""

    def __init__(self, world: World, persister: Persister) -> None:
        self.world = world
        self._persister = persister

    async def source(self, one: Tenant, state: str, at: int = 0) -> None:
        """Insert one of a tenant's sources in a state, or change it."""
        await self.world.admin.execute(
            "INSERT INTO crossdock.sources (tenant_id, id, name, scheme, recipe, token_hash,"
            " token_sealed, max_body_bytes, state, buffers)"
            " VALUES ($1, $2, $2::uuid::text, 'none', '{}', $3, '', 1024, $4, true)"
            " ON CONFLICT (tenant_id, id) DO UPDATE SET state = $4",
            one.id,
            one.sources[at],
            os.urandom(32),
            state,
        )

    async def hold(
        self, one: Tenant, count: int, *, source: int = 0, body: bytes = b"{}", **tail: object
    ) -> list[Arrival]:
        """Pause a source, and persist what it holds then."""
        await self.source(one, "paused", source)
        arrivals = self.held(one, count, source=source, body=body, **tail)
        await self._persister.persist(arrivals)
        return arrivals

    def held(
        self, one: Tenant, count: int, *, source: int = 0, body: bytes = b"{}", **tail: object
    ) -> list[Arrival]:
        """Return webhooks as a gateway passes them on that holds what comes to a source."""
        return [
            self._with(self.world.webhook(one, source=source, body=body), status="held", **tail)
            for _ in range(count)
        ]

    async def quarantine(
        self, one: Tenant, count: int, *, body: bytes = b"{}", **tail: object
    ) -> list[Arrival]:
        """Persist what breaks its schema."""
        still = {"status": "quarantined", "violation": "[]"}
        arrivals = [
            self._with(self.world.webhook(one, body=body), **still, **tail) for _ in range(count)
        ]
        await self._persister.persist(arrivals)
        return arrivals

    async def resume(self, one: Tenant, source: int = 0) -> None:
        """Resume a source, as its owner would."""
        async with self.world.admin.transaction():
            await self.source(one, "active", source)
            await self.world.admin.execute(_FIXED, one.id, ids.new(), one.sources[source], None)

    async def release(self, *arrivals: Arrival) -> None:
        """Ask for quarantined events, as their owner would."""
        async with self.world.admin.transaction():
            for arrival in arrivals:
                await self.world.admin.execute(
                    "UPDATE crossdock.events SET status = 'releasing'"
                    " WHERE id = $1 AND status = 'quarantined'",
                    arrival.event_id,
                )
                await self.world.admin.execute(
                    _FIXED, arrival.tenant_id, ids.new(), None, arrival.event_id
                )

    async def statuses(self, arrivals: Sequence[Arrival]) -> list[str]:
        """Return the statuses there are among events."""
        rows = await self.world.admin.fetch(
            "SELECT DISTINCT status FROM crossdock.events WHERE id = ANY ($1) ORDER BY 1",
            [one.event_id for one in arrivals],
        )
        return [row[0] for row in rows]

    async def deliveries(self, arrivals: Sequence[Arrival]) -> list[tuple[UUID, UUID]]:
        """Return the deliveries of events, as event and destination, sorted."""
        rows = await self.world.admin.fetch(
            "SELECT event_id, destination_id FROM crossdock.deliveries"
            " WHERE event_id = ANY ($1) ORDER BY 1, 2",
            [one.event_id for one in arrivals],
        )
        return [(row[0], row[1]) for row in rows]

    async def asked(self, *owners: Tenant) -> int:
        """Return how many requests are left of tenants."""
        return await self.world.count("releases", "tenant_id = ANY ($1)", [o.id for o in owners])

    @staticmethod
    def _with(arrival: Arrival, **tail: object) -> Arrival:
        message = msgspec.structs.replace(arrival.message, **tail)
        return Arrival.of(message, arrival.stream_seq)


async def kill(doomed: Doom) -> None:
    """Run the program until it has killed itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.beds.releasing"),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate(msgspec.msgpack.encode(doomed))
    assert process.returncode == -signal.SIGKILL, errors.decode()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _Doomed(Database):
    """Dies after a COMMIT that changed something."""

    told: Told
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
            if self.moment == "before_commit" and self.told.events:
                _die()
        if self.moment == "after_commit" and self.told.events:
            _die()


async def _run(given: Doom) -> None:
    database = await _Doomed.open(given.settings, ["ingest"])
    database.moment, database.told = given.moment, Told()

    async def announce(events: Sequence[Announced]) -> None:
        if given.moment == "before_announcing":
            _die()
        await database.told(events)

    await Releaser(database, announce, inline_bytes=INLINE, batch=7).run()


if __name__ == "__main__":
    asyncio.run(_run(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Doom)))
