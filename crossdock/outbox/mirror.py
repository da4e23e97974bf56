"""What the bucket holds, as a drainer sees it: versions and revisions, no settings."""

import math
import time
from typing import Final

import msgspec

from crossdock.bus.kv import Bucket, Entry, Watch, WrongRevisionError
from crossdock.errors import BrokerUnavailable
from crossdock.outbox.snapshots import is_token, tenant_of, type_of
from crossdock.outbox.store import FEED_S, SLACK_S
from proto.settings import (
    BEAT_KEY,
    FOREVER,
    EventTypeSettings,
    Revoked,
    Snapshot,
    UserSettings,
    encoder,
)

ATTEMPTS: Final = 5


class Versioned(msgspec.Struct, frozen=True):
    """The part of a snapshot that says which of two is newer, and for how long it matters."""

    version: int
    until: float = math.inf


class Known(msgspec.Struct, frozen=True):
    """A key's version, and its revision in the bucket."""

    version: int
    revision: int
    until: float = math.inf


_versioned: Final = msgspec.msgpack.Decoder(Versioned)


class Mirror:
    """The bucket's keys by a watch; read whole again at each session, so that losses show."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._known: dict[str, Known] = {}
        self._own_beat = b""
        self.beat_heard_at = float("-inf")
        """When another drainer's beat was seen last, by the monotonic clock."""
        self.watch = Watch(bucket, self._on_entry, on_reload=self._known.clear)

    @property
    def complete(self) -> bool:
        """Whether all that the bucket holds is known."""
        return self.watch.alive and self.watch.loaded

    def behind(self, versions: dict[str, int]) -> set[str]:
        """Return the keys whose snapshot is missing in the bucket, or older than these versions."""
        return {key for key, version in versions.items() if self._version(key) < version}

    def strangers(self, versions: dict[str, int]) -> set[str]:
        """Return the keys of which nothing has a row, and that do not say so yet."""
        return {
            key
            for key, known in self._known.items()
            if key not in versions
            and known.version != FOREVER
            and (is_token(key) or tenant_of(key) is not None or type_of(key) is not None)
        }

    def forget_ended(self, now: float) -> None:
        """Drop revocations that the broker has dropped by now; `now` is in unix seconds."""
        ended = [key for key, known in self._known.items() if known.until < now]
        for key in ended:
            del self._known[key]

    async def publish(self, key: str, snapshot: Snapshot) -> None:
        """Put a snapshot, unless the bucket has it or a newer one.

        The put names the revision it replaces, so that of two drainers the one with the older
        snapshot never has the last word, however long it was stopped in between.
        """
        value = encoder.encode(snapshot)
        until = _until(snapshot)
        for _ in range(ATTEMPTS):
            if self._version(key) >= snapshot.version:
                return
            known = self._known.get(key)
            after = known.revision if known else 0
            try:
                revision = await self._bucket.put(key, value, after=after, ttl_s=_left(until))
            except WrongRevisionError:
                self._note(await self._bucket.get(key), key)
            else:
                self._know(key, Known(snapshot.version, revision, until))
                return
        raise BrokerUnavailable(f"The key {key} changes faster than it can be written.")

    async def beat(self, value: bytes) -> None:
        """Put a beat."""
        self._own_beat = value
        await self._bucket.put(BEAT_KEY, value)

    def _version(self, key: str) -> int:
        known = self._known.get(key)
        return known.version if known else -1

    def _on_entry(self, entry: Entry) -> None:
        if entry.key != BEAT_KEY:
            self._note(entry, entry.key)
        elif entry.value != self._own_beat and entry.revision > self.watch.began_at:
            self.beat_heard_at = time.monotonic()

    def _note(self, entry: Entry | None, key: str) -> None:
        if entry is None:
            self._known.pop(key, None)
            return
        try:
            found = _versioned.decode(entry.value)
        except msgspec.MsgspecError:
            found = Versioned(-1)
        self._know(key, Known(found.version, entry.revision, found.until))

    def _know(self, key: str, found: Known) -> None:
        known = self._known.get(key)
        if known is None or known.revision < found.revision:
            self._known[key] = found


def _until(snapshot: Snapshot) -> float:
    """Return until when somebody may have to read it.

    Of event types that are gone there may be any number. Who has not heard within the feed's time
    reads everything anew.
    """
    if isinstance(snapshot, Revoked | UserSettings):
        return snapshot.until
    if isinstance(snapshot, EventTypeSettings) and snapshot.version == FOREVER:
        return time.time() + 2 * FEED_S
    return math.inf


def _left(until: float) -> float | None:
    """Return the seconds that a key is to live; a clock that is wrong makes them no fewer."""
    return None if math.isinf(until) else max(SLACK_S, until - time.time())
