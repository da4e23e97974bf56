"""One shard's settings, followed into memory.

They come by a watch of the shard's bucket, and a beat in it, four a second, says how far the bucket
follows PostgreSQL. When no beat comes, whatever the reason (the watch deaf, the broker away, no
drainer running), PostgreSQL is asked for what has changed since the last one, three times a
second. When PostgreSQL is away too, the last good copy serves. Whatever the way, the highest
version wins.
"""

import asyncio
import time
from collections.abc import Callable
from math import inf
from typing import Final, NoReturn

import msgspec
import structlog

from crossdock.bus.connection import Bus
from crossdock.bus.kv import Bucket, Entry, Watch
from crossdock.db.database import Database
from crossdock.directory.event_types import number_of
from crossdock.directory.memory import Memory
from crossdock.endless import together
from crossdock.errors import BrokerUnavailable, DatabaseUnavailable
from crossdock.outbox import current, store
from crossdock.outbox.snapshots import GONE, is_token, tenant_of, type_of
from crossdock.telemetry.metrics import (
    SETTINGS_AGE_SECONDS,
    SETTINGS_FALLBACKS,
    SETTINGS_RESTARTS,
)
from proto.settings import BEAT_KEY, Beat, beat_decoder, decoder
from proto.subjects import settings_bucket

TICK_S: Final = 0.1
MISSED_S: Final = 0.6
"""Two beats and a little: so long without one, and PostgreSQL is asked."""
POLL_S: Final = 0.3
AWAY_POLL_S: Final = 1.0
QUERY_TIMEOUT_S: Final = 2.0
RELOAD_TIMEOUT_S: Final = 60.0
SURE_S: Final = 5.0
"""A copy older than this still says what it has, but no longer that a token is unknown."""
FEW: Final = 100
"""So many things may always end for want of a row; more, only while most have one."""

log = structlog.get_logger(__name__)


class Follower:
    """Keeps one shard's part of the memory current. Needs the database role `directory`."""

    def __init__(
        self,
        shard: int,
        bus: Bus,
        database: Callable[[], Database],
        memory: Memory,
        *,
        access_ttl_s: float,
    ) -> None:
        """Follow nothing yet.

        Args:
            shard: whose settings.
            bus: a connection.
            database: returns the shard's database, or raises `DatabaseUnavailable`.
            memory: where they go.
            access_ttl_s: how long an access token lives.
        """
        self.shard: Final = shard
        self._bucket: Final = Bucket(bus, settings_bucket(shard))
        self._database = database
        self._memory = memory
        self._keep_s = current.kept(access_ttl_s)
        self._watch = Watch(self._bucket, self._on_entry)
        self._age = SETTINGS_AGE_SECONDS.labels(str(shard))
        self._log = log.bind(shard=shard)
        self._position: int | None = None
        """Every change of all transactions before this one is in memory."""
        self._position_at = 0.0
        self._session = 0
        """The watch's session in which that became so: a break in it is bridged by PostgreSQL."""
        self._beat: Beat | None = None
        self._beat_at = -inf
        self._current_at = -inf
        self._poll_at = 0.0
        self._restarts = 0
        self._database_away = False
        self._unreadable: set[str] = set()
        self.is_ready: Final = asyncio.Event()
        """Set once all of the shard's settings have been read."""

    @property
    def age_s(self) -> float:
        """Return the seconds since the copy was last known to be current."""
        return time.monotonic() - self._current_at

    async def run(self) -> NoReturn:
        """Keep the copy current until cancelled."""
        self._poll_at = time.monotonic() + MISSED_S
        await together(self._watch.run(), self._supervise())

    async def _supervise(self) -> NoReturn:
        while True:
            self._settle()
            self._age.set(self.age_s)
            if self._watch.sessions - 1 > self._restarts:
                SETTINGS_RESTARTS.inc(self._watch.sessions - 1 - self._restarts)
                self._restarts = self._watch.sessions - 1
            if self.falls_back and time.monotonic() >= self._poll_at:
                away = not await self._catch_up()
                self._poll_at = time.monotonic() + (AWAY_POLL_S if away else POLL_S)
            await asyncio.sleep(TICK_S)

    @property
    def falls_back(self) -> bool:
        """Whether PostgreSQL is asked: the bucket does not prove the copy current and whole."""
        behind = self._beat.behind_s if self._beat else inf
        silent = time.monotonic() - self._beat_at
        return max(silent, behind) > MISSED_S or self._session != self._watch.sessions

    async def read(self, digest: bytes) -> bool:
        """Look for one token in the bucket, and in PostgreSQL where the bucket can't be sure.

        Return whether that settles it: what is not in memory now is not on this shard.
        """
        reached = True
        try:
            entry = await self._bucket.get(digest.hex())
        except BrokerUnavailable:
            reached, entry = False, None
        if entry is not None:
            self._on_entry(entry)
        elif self.falls_back:
            reached |= await self._read_row(digest)
        return self.is_ready.is_set() and (reached or self.age_s < SURE_S)

    def _on_entry(self, entry: Entry) -> None:
        """Take in what the watch brings; whatever it is, the watch goes on."""
        try:
            if entry.key == BEAT_KEY:
                self._on_beat(beat_decoder.decode(entry.value), entry.revision)
            else:
                self._memory.take(self.shard, entry.key, decoder.decode(entry.value))
        except (msgspec.MsgspecError, ValueError) as error:
            if entry.key not in self._unreadable and len(self._unreadable) < FEW:
                self._unreadable.add(entry.key)
                self._log.error("settings_unreadable", key=entry.key, reason=type(error).__name__)

    def _on_beat(self, beat: Beat, revision: int) -> None:
        self._beat = beat
        if revision > self._watch.began_at:
            self._beat_at = time.monotonic()
            self._current_at = max(self._current_at, self._beat_at - beat.behind_s)
        self._settle()

    def _settle(self) -> None:
        """Move the position to the last beat's, where the watch has brought all before it."""
        if self._beat is None or not (self._watch.alive and self._watch.loaded):
            return
        if self._position is None or self._session == self._watch.sessions:
            self._place(self._beat.position, self._beat.at, self._watch.sessions)

    def _place(self, position: int, at: float, session: int) -> None:
        self._position, self._position_at, self._session = position, at, session
        if not self.is_ready.is_set():
            self.is_ready.set()
            self._log.info("settings_ready")

    async def _catch_up(self) -> bool:
        """Read from PostgreSQL what is not known to be in memory; return whether it answered."""
        session, began = self._watch.sessions, time.monotonic()
        SETTINGS_FALLBACKS.inc()
        try:
            async with asyncio.timeout(QUERY_TIMEOUT_S) as deadline:
                async with self._database().directory() as connection:
                    place = await store.position(connection)
                    known = self._position
                    if known is None or place.at - self._position_at > store.FEED_S / 2:
                        deadline.reschedule(asyncio.get_running_loop().time() + RELOAD_TIMEOUT_S)
                        await self._reload(connection)
                    else:
                        changes = await store.changed_since(connection, known)
                        found = await current.of_changes(connection, changes, self._keep_s)
                        self._memory.take_all(self.shard, found)
        except (DatabaseUnavailable, TimeoutError) as error:
            self._note_database(away=True, reason=str(error) or type(error).__name__)
            return False
        self._note_database(away=False)
        self._place(place.finished, place.at, session)
        self._current_at = max(self._current_at, began)
        return True

    async def _reload(self, connection: store.Connection) -> None:
        """Read everything, and end what has no row but is in memory."""
        sources, tenants, types = self._memory.of(self.shard)
        rows = 0
        async for page in current.of_all(connection, self._keep_s):
            self._memory.take_all(self.shard, page)
            sources.difference_update(bytes.fromhex(key) for key in page if is_token(key))
            tenants.difference_update(one.int for key in page if (one := tenant_of(key)))
            types.difference_update(number_of(*two) for key in page if (two := type_of(key)))
            rows += len(page)
        rowless = len(sources) + len(tenants) + len(types)
        if rowless > max(FEW, rows):
            self._log.error("database_lacks_rows", memory=rowless, rows=rows)
            return
        self._memory.end(self.shard, sources, tenants, types)

    async def _read_row(self, digest: bytes) -> bool:
        """Ask PostgreSQL for one token; return whether it answered."""
        try:
            async with (
                asyncio.timeout(QUERY_TIMEOUT_S),
                self._database().directory() as connection,
            ):
                found = await current.of_tokens(connection, [digest.hex()])
        except (DatabaseUnavailable, TimeoutError):
            return False
        # Junk must leave nothing behind, not even that it leads nowhere.
        here = {key: known for key, known in found.items() if known is not GONE}
        self._memory.take_all(self.shard, here)
        return True

    def _note_database(self, *, away: bool, reason: str = "") -> None:
        if away and not self._database_away:
            self._log.warning("settings_fallback_away", reason=reason, age_s=round(self.age_s, 1))
        elif self._database_away and not away:
            self._log.info("settings_fallback_back")
        self._database_away = away
