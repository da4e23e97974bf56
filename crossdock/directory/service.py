"""The settings of all shards: each is followed by itself, so that none makes another's copy old."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress
from math import inf
from typing import Final, NoReturn
from uuid import UUID

import structlog

from crossdock import native
from crossdock.bus.connection import Bus
from crossdock.bus.kv import buckets
from crossdock.db.databases import Databases
from crossdock.directory.follower import SURE_S, Follower
from crossdock.directory.lookup import Lookups
from crossdock.directory.memory import Memory
from crossdock.errors import Unavailable
from crossdock.inbound.sources.prepared import PreparedSource
from proto.settings import TenantSettings
from proto.subjects import shard_of_settings

CURRENT_S: Final = 1.0
"""The bound within which settings are current."""
LOOK_EVERY_S: Final = 1.0
"""How often to see whether there is a new shard; the list itself is read less often."""
LIST_TIMEOUT_S: Final = 2.0
AGAIN_S: Final = 1.0
PATIENCE_S: Final = 5.0
"""How long a gateway that knows one shard waits for the others before it begins."""

log = structlog.get_logger(__name__)


class Directory:
    """What a gateway knows of all tenants and sources, and of what was revoked.

    Needs the database role `directory`, and one that may read the list of shards.
    """

    def __init__(
        self, bus: Bus, databases: Databases, memory: Memory, *, access_ttl_s: float
    ) -> None:
        """Know nothing yet.

        Args:
            bus: a connection.
            databases: all shards.
            memory: what is to be filled.
            access_ttl_s: how long an access token lives.
        """
        self._bus = bus
        self._databases = databases
        self._memory = memory
        self._access_ttl_s = access_ttl_s
        self._sources: Final = memory.sources
        self._ended: Final = memory.ended
        self._types: Final = memory.types
        self._lookups = Lookups()
        self._followers: dict[int, Follower] = {}
        self._some_ready = asyncio.Event()
        self._is_listed = False

    def get(self, token: str) -> PreparedSource | None:
        """Return the source of an ingest token, or `None`: unknown here, or deleted."""
        return self._sources.get(native.sha256(token.encode(errors="replace")))

    async def lookup(self, token: str) -> PreparedSource | None:
        """Return the source of a token that `get` does not know: one limited read, or none.

        Raises:
            Unavailable: nobody can say at the moment whether there is such a source.
        """
        digest = native.sha256(token.encode(errors="replace"))
        if digest in self._sources or digest in self._ended:
            return self._sources.get(digest)
        place = self._lookups.admit(digest)
        if place is not None:
            async with place:
                await self._read(digest)
        elif not (self._lookups.knows_not(digest) or self.age_s < SURE_S):
            raise _unreadable()
        return self._sources.get(digest)

    def tenant(self, tenant_id: UUID) -> TenantSettings | None:
        """Return what is known of a tenant, from memory; `None` for one that is unknown here."""
        return self._memory.tenant(tenant_id)

    def schemas(self, tenant_id: bytes) -> native.Schemas | None:
        """Return what a tenant's payloads are held to, from memory; `None` where that is nothing.

        After a change of the tenant's event types it compiles what has changed: await `preparing`
        first where others must not wait for that.

        Args:
            tenant_id: its 16 bytes.
        """
        return self._types.schemas(tenant_id)

    def preparing(self, tenant_id: bytes) -> Awaitable[None] | None:
        """Return what to wait for before `schemas` is asked; mostly there is nothing, so `None`.

        Schemas are compiled in a thread when they are first wanted, and each tenant has its turn.
        """
        return self._types.preparing(tenant_id)

    def is_revoked(
        self, tenant_id: UUID, user_id: UUID, session_id: UUID, issued_at: float
    ) -> bool:
        """Tell whether an access token was revoked before its end.

        Its session was, or it was issued before its user's, or its tenant's, `not_before`. That is
        as true as the copy is current: ask `is_current` first. A tenant that is unknown here
        revokes nothing; whoever takes a token asks for its tenant anyway.

        Args:
            tenant_id: the token's `tid`.
            user_id: its `sub`.
            session_id: its `sid`, a session's or a support access's.
            issued_at: its `iat`, in unix seconds.
        """
        return self._memory.is_revoked(tenant_id, user_id, session_id, issued_at)

    def is_current(self, shard: int) -> bool:
        """Tell whether a shard's settings were known to be current within the last second."""
        follower = self._followers.get(shard)
        return follower is not None and follower.age_s <= CURRENT_S

    @property
    def shards(self) -> list[int]:
        """Return the shards that are followed."""
        return sorted(self._followers)

    @property
    def ready(self) -> bool:
        """Whether the settings of all shards have been read once."""
        followers = self._followers.values()
        return bool(followers) and all(one.is_ready.is_set() for one in followers)

    async def wait_ready(self) -> None:
        """Return when the settings of all shards have been read, or some and the others won't be.

        Until a shard's are, a token that is unknown is nobody's to deny.
        """
        await self._some_ready.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*(one.is_ready.wait() for one in self._followers.values()))

    @property
    def age_s(self) -> float:
        """Return the seconds since all of the copy was last known to be current."""
        return max((one.age_s for one in self._followers.values()), default=inf)

    def age_of(self, shard: int) -> float:
        """Return the seconds since a shard's part of the copy was last known to be current."""
        follower = self._followers.get(shard)
        return inf if follower is None else follower.age_s

    @property
    def count(self) -> int:
        """Return how many sources are known, deleted ones included."""
        return len(self._sources) + len(self._ended)

    async def run(self) -> NoReturn:
        """Keep the copy current, and follow new shards, until cancelled."""
        async with asyncio.TaskGroup() as group:
            tasks: dict[int, asyncio.Task[NoReturn]] = {}
            while True:
                for shard in await self._shards() - tasks.keys():
                    follower = self._followers.get(shard) or self._follow(shard)
                    tasks[shard] = group.create_task(_keep(follower))
                    group.create_task(self._note_ready(follower))
                if any(task.done() for task in tasks.values()):
                    raise RuntimeError("A shard is not followed any more.")
                self._memory.forget(time.time())
                await asyncio.sleep(LOOK_EVERY_S)

    def _follow(self, shard: int) -> Follower:
        follower = Follower(
            shard,
            self._bus,
            lambda: self._databases.shard(shard),
            self._memory,
            access_ttl_s=self._access_ttl_s,
        )
        self._followers[shard] = follower
        log.info("shard_followed", shard=shard)
        return follower

    async def _note_ready(self, follower: Follower) -> None:
        await follower.is_ready.wait()
        self._some_ready.set()

    async def _shards(self) -> set[int]:
        """Return the shards there are, or none while nobody says.

        The control database lists them. Until it has done so, those that have a bucket will do: a
        gateway starts without PostgreSQL.
        """
        found: set[int] = set()
        try:
            async with asyncio.timeout(LIST_TIMEOUT_S):
                found = set(await self._databases.shards())
            self._is_listed = True
        except (Unavailable, TimeoutError) as error:
            log.debug("shards_unlisted", reason=str(error))
            if not self._is_listed:
                with suppress(Unavailable):
                    found = {
                        shard
                        for name in await buckets(self._bus)
                        if (shard := shard_of_settings(name)) is not None
                    }
        return found

    async def _read(self, digest: bytes) -> None:
        """Ask all shards for one token."""
        sure = await asyncio.gather(*(one.read(digest) for one in self._followers.values()))
        if digest in self._sources or digest in self._ended:
            return
        if not sure or not all(sure):
            raise _unreadable()
        self._lookups.remember(digest)


async def _keep(follower: Follower) -> NoReturn:
    """Follow a shard, whatever goes wrong with it: the others' settings must not end with it."""
    while True:
        try:
            await follower.run()
        except Exception:
            log.exception("shard_follower_broke", shard=follower.shard)
        await asyncio.sleep(AGAIN_S)


def _unreadable() -> Unavailable:
    return Unavailable("The source's settings cannot be read at the moment.")
