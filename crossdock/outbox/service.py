"""The drainer: from a shard's outbox to its key-value bucket, and the proof that all is there.

Any number of them may run. Each keeps a mirror of the bucket, takes rows nobody else has, and puts
the current snapshot of what they name. A quarter of a second apart it puts a beat, which tells
gateways how far the bucket follows the database; it puts none before it has compared the two since
the broker was last away, for a broker may come back without what it had acknowledged.
"""

import asyncio
import random
import time
from contextlib import suppress
from typing import Final, NoReturn

import structlog

from crossdock.bus.connection import Bus
from crossdock.bus.kv import Bucket
from crossdock.db.database import Database
from crossdock.endless import together
from crossdock.errors import Unavailable
from crossdock.outbox import current, store
from crossdock.outbox.mirror import Mirror
from crossdock.outbox.snapshots import Snapshots
from proto.settings import Beat, encoder
from proto.subjects import settings_bucket

BEAT_S: Final = 0.25
ENOUGH_BEATS_S: Final = 0.2
"""Another drainer's beat that is younger will do."""
BATCH: Final = 500
PUTS_AT_ONCE: Final = 64
COMPARE_S: Final = 300.0
"""How often bucket and database are compared without a reason."""
FEW: Final = 100
"""So many keys may always be ended for want of a row; more, only while most have one."""
FORGET_S: Final = 60.0
LISTEN_RETRY_S: Final = 1.0

log = structlog.get_logger(__name__)


async def drain_forever(database: Database, bus: Bus, *, access_ttl_s: float) -> NoReturn:
    """Publish what changes on a shard until cancelled; waits by itself for broker and database.

    Needs the role `maintenance`.
    """
    await Drainer(
        database,
        Bucket(bus, settings_bucket(database.number)),
        access_ttl_s=access_ttl_s,
        replicas=bus.settings.replicas,
    ).run()


class Drainer:
    """One drainer; see the module."""

    def __init__(
        self, database: Database, bucket: Bucket, *, access_ttl_s: float, replicas: int = 1
    ) -> None:
        self._database = database
        self._bucket = bucket
        self._keep_s = current.kept(access_ttl_s)
        self._replicas = replicas
        self._mirror = Mirror(bucket)
        self._wake = asyncio.Event()
        self._compared_session = 0
        self._compare_at = 0.0
        self._beat_at = 0.0
        self._forget_at = 0.0
        self._away = False

    async def run(self) -> NoReturn:
        """Drain until cancelled."""
        await together(self._mirror.watch.run(), self._listen(), self._loop())

    async def _loop(self) -> NoReturn:
        while True:
            self._wake.clear()
            try:
                await self._turn()
            except Unavailable as error:
                if not self._away:
                    log.warning("outbox_waits", reason=str(error))
                self._away = True
            else:
                if self._away:
                    log.info("outbox_drains")
                self._away = False
            with suppress(TimeoutError):
                # Each commit wakes all drainers at once: out of step, one's beat spares the others.
                async with asyncio.timeout(BEAT_S * random.uniform(0.7, 1.0)):  # noqa: S311
                    await self._wake.wait()

    async def _turn(self) -> None:
        """Publish all that waits, and say so."""
        if not self._mirror.complete:
            await self._bucket.ensure(replicas=self._replicas)
            return
        session = self._mirror.watch.sessions
        while await self._drain() == BATCH:
            pass
        now = time.monotonic()
        if session != self._compared_session or now > self._compare_at:
            await self._compare()
            self._compared_session, self._compare_at = session, now + COMPARE_S
        if now > self._beat_at and now - self._mirror.beat_heard_at > ENOUGH_BEATS_S:
            self._beat_at = now + BEAT_S / 2
            await self._beat()
        if now > self._forget_at:
            self._forget_at = now + FORGET_S
            async with self._database.maintenance() as connection:
                await store.forget_published(connection, max(store.FEED_S, 2 * self._keep_s))

    async def _drain(self) -> int:
        """Publish a batch of changes; return how many."""
        async with self._database.maintenance() as connection:
            changes = await store.claim(connection, BATCH)
            if changes:
                found = await current.of_changes(connection, changes, self._keep_s)
                await self._publish(found)
                await store.mark_published(connection, [change.id for change in changes])
        return len(changes)

    async def _beat(self) -> None:
        async with self._database.maintenance() as connection:
            place = await store.position(connection)
        beat = Beat(position=place.published, at=place.at, behind_s=place.behind_s)
        await self._mirror.beat(encoder.encode(beat))

    async def _compare(self) -> None:
        """Put whatever the bucket lacks, and the end of what has no row."""
        async with self._database.maintenance() as connection:
            versions = await store.versions(connection)
            revoked = await store.revoked_within(connection, self._keep_s)
            revocations = await current.of_changes(connection, revoked, self._keep_s)
        self._mirror.forget_ended(time.time())
        keys = sorted(self._mirror.behind(versions) | self._strangers(versions))
        if keys:
            log.warning("bucket_differs", keys=len(keys), rows=len(versions))
        await self._publish(revocations)
        for some in current.pages(keys, BATCH):
            async with self._database.maintenance() as connection:
                found = await current.of_keys(connection, some)
            await self._publish(found)

    def _strangers(self, versions: dict[str, int]) -> set[str]:
        """Return the bucket's keys that no row has; so many that we must be wrong are none."""
        strangers = self._mirror.strangers(versions)
        if len(strangers) > max(FEW, len(versions)):
            log.error("bucket_is_of_another_database", keys=len(strangers), rows=len(versions))
            return set()
        return strangers

    async def _publish(self, snapshots: Snapshots) -> None:
        """Put snapshots, many at a time.

        Raises:
            BrokerUnavailable: not all of them could be put.
        """
        waiting = iter(snapshots.items())

        async def put_waiting() -> None:
            for key, snapshot in waiting:
                await self._mirror.publish(key, snapshot)

        putting = (put_waiting() for _ in range(min(PUTS_AT_ONCE, len(snapshots))))
        for failure in await asyncio.gather(*putting, return_exceptions=True):
            if failure is not None:
                raise failure

    async def _listen(self) -> NoReturn:
        """Wake the loop at each commit to the outbox; the poll covers what this misses."""
        while True:
            ended = asyncio.Event()

            try:
                async with self._database.session("maintenance") as connection:
                    await store.listen(connection, self._wake.set, ended.set)
                    await ended.wait()
            except Unavailable as error:
                log.debug("outbox_listener_waits", reason=str(error))
            await asyncio.sleep(LISTEN_RETRY_S)
