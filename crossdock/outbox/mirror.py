"""What the bucket holds, as a drainer sees it: versions and revisions, no settings."""

import time
from typing import Final

import msgspec

from crossdock.bus.kv import Bucket, Entry, Watch, WrongRevisionError
from crossdock.errors import BrokerUnavailable
from proto.settings import BEAT_KEY, FOREVER, SourceSettings, encoder

ATTEMPTS: Final = 5


class Versioned(msgspec.Struct, tag="source.v1", frozen=True):
    """The part of a snapshot that says which of two is newer."""

    version: int


class Known(msgspec.Struct, frozen=True):
    """A key's version, and its revision in the bucket."""

    version: int
    revision: int


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
        """Return the keys of the bucket that no source has, and that do not say so yet."""
        return {
            key
            for key, known in self._known.items()
            if key not in versions and known.version != FOREVER
        }

    async def publish(self, key: str, settings: SourceSettings) -> None:
        """Put a snapshot, unless the bucket has it or a newer one.

        The put names the revision it replaces, so that of two drainers the one with the older
        snapshot never has the last word, however long it was stopped in between.
        """
        value = encoder.encode(settings)
        for _ in range(ATTEMPTS):
            if self._version(key) >= settings.version:
                return
            known = self._known.get(key)
            try:
                revision = await self._bucket.put(key, value, after=known.revision if known else 0)
            except WrongRevisionError:
                self._note(await self._bucket.get(key), key)
            else:
                self._know(key, Known(settings.version, revision))
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
            version = _versioned.decode(entry.value).version
        except msgspec.MsgspecError:
            version = -1
        self._know(key, Known(version, entry.revision))

    def _know(self, key: str, found: Known) -> None:
        known = self._known.get(key)
        if known is None or known.revision < found.revision:
            self._known[key] = found
