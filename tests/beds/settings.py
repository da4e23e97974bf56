"""The settings' whole way with real servers: services, outbox, drainer, bucket, directory."""

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, NoReturn, Self
from uuid import UUID

from sqlalchemy import text

from crossdock import ids
from crossdock.bus.connection import Bus, connect
from crossdock.bus.kv import Bucket, Entry
from crossdock.config import DatabaseRole, DatabaseSettings, NatsSettings
from crossdock.db import Database, Databases
from crossdock.directory import Directory, Memory
from crossdock.directory.follower import Follower
from crossdock.errors import BrokerUnavailable, DatabaseUnavailable, Unavailable
from crossdock.inbound.model import OpenedSource, SourceEdit
from crossdock.inbound.sources.rules import token_hash
from crossdock.inbound.sources.service import Sources
from crossdock.outbox import store
from crossdock.outbox.service import drain_forever
from crossdock.secrets.seal import Sealer
from proto.subjects import settings_bucket

POLL_S: Final = 0.002
ACCESS_TTL_S: Final = 600.0
BUCKET: Final = settings_bucket(0)
ROLES: Final[frozenset[DatabaseRole]] = frozenset(
    {
        "app",
        "maintenance",
        "directory",
        "control",
        "operator",
    }
)
CHURN_S: Final = 0.03

_CHANGE: Final = "UPDATE crossdock.sources SET version = version + 1,"
_RESIZE: Final = text(f"{_CHANGE} max_body_bytes = :size WHERE id = :id")
_BREAK: Final = text(f'{_CHANGE} recipe = \'{{"scheme": "none of them"}}\' WHERE id = :id')
_ERASE: Final = text("DELETE FROM crossdock.sources WHERE id = :id")


def follower_of(directory: Directory) -> Follower:
    """Return what follows the first shard for a gateway."""
    return directory._followers[0]


class Churn:
    """One source that changes all the time, and how late the gateway knew of it at worst."""

    def __init__(self, bed: "SettingsBed", source: OpenedSource) -> None:
        self._bed = bed
        self._source = source
        self._commits: deque[tuple[int, float]] = deque()
        self.size = 1000
        self.worst_s = 0.0
        self.refused = 0

    async def write(self) -> NoReturn:
        """Commit a change every 30 ms for as long as PostgreSQL lets us."""
        while True:
            try:
                committed = await self._bed.resize(self._source, self.size + 1)
            except DatabaseUnavailable:
                self.refused += 1
            else:
                self.size += 1
                self._commits.append((self.size, committed))
            await asyncio.sleep(CHURN_S)

    async def watch(self) -> NoReturn:
        """Note for each commit when the gateway knew it, or something newer."""
        while True:
            self.look()
            await asyncio.sleep(POLL_S)

    def look(self) -> int:
        """Take note; return how many commits are not known yet."""
        now = time.monotonic()
        seen = self._bed.size_of(self._source) or 0
        while self._commits and self._commits[0][0] <= seen:
            self.worst_s = max(self.worst_s, now - self._commits.popleft()[1])
        if self._commits:
            self.worst_s = max(self.worst_s, now - self._commits[0][1])
        return len(self._commits)


class SettingsBed:
    """One gateway's directory, and drainers in this process; servers belong to the caller."""

    def __init__(self, nats: NatsSettings, database: DatabaseSettings) -> None:
        self.nats = nats
        self.database_settings = database
        self.sealer = Sealer(os.urandom(32))
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.tenant_id = UUID(int=0)

    @classmethod
    @asynccontextmanager
    async def open(cls, nats: NatsSettings, database: DatabaseSettings) -> AsyncIterator[Self]:
        """Connect as a gateway and as a worker; nothing runs yet but one tenant is there."""
        bed = cls(nats, database)
        bed.bus = await connect(nats, name="gateway")
        bed.worker_bus = await connect(nats, name="worker")
        bed.databases = await Databases.open(database, ROLES)
        bed.database = bed.databases.shard(0)
        bed.sources = Sources(bed.databases, bed.sealer, max_body_bytes=1 << 19)
        bed.memory = Memory(bed.sealer)
        bed.directory = bed._directory(bed.memory)
        try:
            bed.tenant_id = await bed.add_tenant()
            yield bed
        finally:
            for name in list(bed.tasks):
                await bed.stop(name)
            await bed.databases.close()
            for bus in (bed.bus, bed.worker_bus):
                with suppress(BrokerUnavailable):
                    await bus.close()

    bus: Bus
    worker_bus: Bus
    databases: Databases
    database: Database
    sources: Sources
    memory: Memory
    directory: Directory

    @property
    def follower(self) -> Follower:
        """What keeps the shard's settings current."""
        return follower_of(self.directory)

    def start_gateway(self) -> None:
        """Let the directory keep itself current."""
        self._start("gateway", self.directory.run)

    def start_drainer(self, name: str = "drainer") -> None:
        """Let a drainer publish."""
        self._start(
            name,
            lambda: drain_forever(self.database, self.worker_bus, access_ttl_s=ACCESS_TTL_S),
        )

    def another_directory(self) -> Directory:
        """Start a gateway's directory that knows nothing yet."""
        directory = self._directory(Memory(self.sealer))
        self._start(f"directory-{len(self.tasks)}", directory.run)
        return directory

    def _directory(self, memory: Memory) -> Directory:
        return Directory(self.bus, self.databases, memory, access_ttl_s=ACCESS_TTL_S)

    def drop_connection(self) -> None:
        """Cut the gateway's connection as a network would: no word, nothing flushed."""
        self.bus.client._transport._io_writer.transport.abort()  # type: ignore[union-attr]

    async def bucket_size(self) -> int:
        """Return how many keys the bucket has, the beat's aside."""
        info = await self.bus.jetstream().stream_info(f"KV_{BUCKET}")
        return info.state.messages - 1

    async def row_count(self) -> int:
        """Return how many sources and tenants there are."""
        async with self.database.directory() as connection:
            return len(await store.versions(connection))

    async def stop(self, name: str) -> None:
        """Cancel what was started."""
        task = self.tasks.pop(name)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def running(self) -> Self:
        """Start both, and wait until the directory has read all and a drainer beats."""
        self.start_drainer()
        self.start_gateway()
        await self.directory.wait_ready()
        await self.until(lambda: self.directory.age_s < 0.5)
        return self

    def _start(self, name: str, run: Callable[[], Coroutine[None, None, None]]) -> None:
        self.tasks[name] = asyncio.create_task(run())

    async def until(self, holds: Callable[[], bool], *, within_s: float = 10.0) -> float:
        """Wait until something holds; return the seconds it took."""
        began = time.monotonic()
        while not holds():
            for task in self.tasks.values():
                if task.done():
                    task.result()
            if time.monotonic() - began > within_s:
                raise AssertionError(
                    f"not within {within_s} s; settings age {self.directory.age_s}"
                )
            await asyncio.sleep(POLL_S)
        return time.monotonic() - began

    @asynccontextmanager
    async def churning(self) -> AsyncIterator[Churn]:
        """Change a source all the time in between; at the end the gateway knows the last change."""
        source = await self.add_source()
        await self.until(lambda: self.size_of(source) is not None)
        churn = Churn(self, source)
        tasks = [asyncio.create_task(churn.write()), asyncio.create_task(churn.watch())]
        try:
            yield churn
        finally:
            tasks[0].cancel()
            await self.until(lambda: not churn.look())
            tasks[1].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def add_tenant(self) -> UUID:
        """Make a tenant as an operator would."""
        tenant_id = ids.new()
        async with self.database.maintenance() as connection:
            await connection.execute(
                "INSERT INTO crossdock.tenants (id, slug, name) VALUES ($1, $2, 'Test')",
                tenant_id,
                tenant_id.hex,
            )
        return tenant_id

    async def set_tenant_state(self, state: str) -> None:
        """Suspend or resume the tenant as an operator would."""
        async with self.database.maintenance() as connection:
            await connection.execute(
                "UPDATE crossdock.tenants SET state = $2, version = version + 1 WHERE id = $1",
                self.tenant_id,
                state,
            )
            await store.add_tenant(connection, self.tenant_id)

    async def add_source(self, name: str = "") -> OpenedSource:
        """Make a source as a tenant would."""
        edit = SourceEdit(name=name or ids.new().hex)
        return await self.sources.create(self.tenant_id, "stripe", edit, ("whsec_made_up",))

    async def resize(self, source: OpenedSource, size: int) -> float:
        """Change a source; return the moment of the commit."""
        change = {"max_body_bytes": size}
        await self.sources.patch(self.tenant_id, source.source.id, change, None)
        return time.monotonic()

    async def change_and_fail(self, source: OpenedSource) -> None:
        """Change a source in a transaction that does not commit."""
        async with self.database.tenant(self.tenant_id) as connection:
            await connection.execute(_RESIZE, {"size": 7, "id": source.source.id})
            await store.add(connection, self.tenant_id, "source", str(source.source.id))
            raise ZeroDivisionError

    async def rotate(self, source: OpenedSource, secret: str, overlap: timedelta) -> OpenedSource:
        """Give a source a new secret."""
        source_id = source.source.id
        return await self.sources.rotate_secret(self.tenant_id, source_id, secret, overlap)

    async def erase(self, source: OpenedSource) -> None:
        """Remove a source's row, as the erasure of a tenant would."""
        async with self.database.tenant(self.tenant_id) as connection:
            await connection.execute(_ERASE, {"id": source.source.id})
            digest = token_hash(source.token).hex()
            await store.add(connection, self.tenant_id, "token", digest)

    async def break_recipe(self, source: OpenedSource) -> None:
        """Store a recipe that no service would have let through."""
        async with self.database.tenant(self.tenant_id) as connection:
            await connection.execute(_BREAK, {"id": source.source.id})
            await store.add(connection, self.tenant_id, "source", str(source.source.id))

    def is_broken(self, source: OpenedSource) -> bool:
        """Say whether the gateway has settings of a source that it can't use."""
        found = self.directory.get(source.token)
        if found is None:
            return False
        try:
            _ = found.native
        except Unavailable:
            return True
        return False

    async def in_bucket(self, key: str) -> Entry | None:
        """Return what the bucket holds under a key."""
        return await Bucket(self.bus, BUCKET).get(key)

    async def put_raw(self, key: str, value: bytes) -> None:
        """Put anything into the bucket."""
        await Bucket(self.bus, BUCKET).put(key, value)

    async def all_published(self) -> bool:
        """Say whether no row waits in the outbox."""
        async with self.database.directory() as connection:
            return (await store.position(connection)).waiting is None

    async def until_async(self, holds: Callable[[], Awaitable[object]]) -> None:
        """Wait until something that takes a question to a server holds."""
        async with asyncio.timeout(10):
            while True:
                with suppress(BrokerUnavailable):
                    if await holds():
                        return
                await asyncio.sleep(POLL_S)

    def size_of(self, source: OpenedSource) -> int | None:
        """Return the body limit that the gateway knows of."""
        found = self.directory.get(source.token)
        return found.settings.max_body_bytes if found else None

    async def seen_after(self, source: OpenedSource, size: int, *, within_s: float = 10.0) -> float:
        """Change a source; return the seconds from the commit until the gateway knows."""
        committed = None
        while committed is None:
            with suppress(DatabaseUnavailable):  # a pool may hold connections that were cut
                committed = await self.resize(source, size)
        await self.until(lambda: self.size_of(source) == size, within_s=within_s)
        return time.monotonic() - committed
