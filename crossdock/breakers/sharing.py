"""Breakers' state told to the other processes, over a bucket in the broker's memory.

What is in it is worth something for as long as a rest lasts, and no longer: should the broker lose
it, each process goes on by what it knows, and tells it again. Three kinds of keys: `s.` is a
breaker's state, `w.` a pause that the other side asked for, `p.` a permit for a probe. All of them
end by the broker's clock, a permit even if whoever holds it is gone.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

import msgspec
import structlog

from crossdock.breakers import standing
from crossdock.breakers.model import Pause, Record
from crossdock.bus.connection import Bus
from crossdock.bus.kv import Bucket, Entry, Watch, WrongRevisionError
from crossdock.endless import together
from crossdock.errors import BrokerUnavailable
from crossdock.telemetry.metrics import BREAKER_LOCAL

LIFE_S: Final = 8 * 86_400.0
"""Longer than the longest pause; each value has a shorter life of its own."""
MAX_BYTES: Final = 32 * 1024**2
MAX_VALUE_BYTES: Final = 1024
LOOK_S: Final = 1.0
"""How often it is looked whether there is a bucket, and tried again to tell what was not told."""
KEPT_S: Final = 600.0
"""How long a state is kept beyond its rest: so long others may hear of it."""
ATTEMPTS: Final = 5

STATE: Final = "s."
PAUSE: Final = "w."
PERMIT: Final = "p."
_FREE: Final = b"free"
_TAKEN: Final = b"taken"

_record: Final = msgspec.json.Decoder(Record)
_pause: Final = msgspec.json.Decoder(Pause)

log = structlog.get_logger(__name__)


class Sharing:
    """One process's way to the others."""

    def __init__(self, bus: Bus, bucket: str, capacity: int = 10_000) -> None:
        """Say where.

        Args:
            bus: a connection, which may come and go.
            bucket: the bucket's name: one for all who share.
            capacity: values that may wait to be told while the broker is away.
        """
        self.bucket: Final = Bucket(bus, bucket)
        self._capacity = capacity
        self._watch = Watch(self.bucket, self._on_entry)
        self._untold: dict[str, Record | Pause] = {}
        self._identity = ""
        self._more = asyncio.Event()
        self.on_record: Callable[[str, Record], None] = lambda _, __: None
        """Is given what is heard of a breaker, one's own words included."""
        self.on_pause: Callable[[str, Pause], None] = lambda _, __: None
        self.on_lost: Callable[[], None] = lambda: None
        """Called when the broker has a new bucket: what was told before has to be told again."""

    @property
    def is_heard(self) -> bool:
        """Whether this process hears what the others tell."""
        return self._watch.alive

    @property
    def untold(self) -> int:
        """Values that wait to be told."""
        return len(self._untold)

    async def run(self) -> NoReturn:
        """Hear and tell until cancelled."""
        await together(self._keep(), self._watch.run(), self._tell_forever())

    def tell(self, key: str, said: Record | Pause) -> None:
        """Have a breaker's state, or a pause, told soon; what is told later replaces it."""
        name = (STATE if isinstance(said, Record) else PAUSE) + key
        if name in self._untold or len(self._untold) < self._capacity:
            self._untold[name] = said
            self._more.set()
        else:
            BREAKER_LOCAL.labels("untold").inc()

    async def take(self, key: str, epoch: int, slots: int, for_s: float) -> tuple[int, int] | None:
        """Take one of so many permits to probe in an epoch; `None` when all of them are taken.

        Returns:
            Which one, and its revision, to give it back by.

        Raises:
            BrokerUnavailable: the broker did not say.
        """
        for slot in range(slots):
            name = _permit(key, epoch, slot)
            after = 0
            for _ in range(2):
                with suppress(WrongRevisionError):
                    return slot, await self.bucket.put(name, _TAKEN, after=after, ttl_s=for_s)
                found = await self.bucket.get(name)
                if found is None or found.value != _FREE:
                    break
                after = found.revision
        return None

    async def free(self, key: str, epoch: int, slot: int, revision: int) -> None:
        """Give a permit back; where that fails it ends by itself."""
        with suppress(BrokerUnavailable, WrongRevisionError):
            await self.bucket.put(_permit(key, epoch, slot), _FREE, after=revision, ttl_s=1.0)

    async def add_good(self, key: str, epoch: int) -> None:
        """Count a probe that did well, of an epoch that is not over."""
        with suppress(BrokerUnavailable):
            for _ in range(ATTEMPTS):
                found = await self.bucket.get(STATE + key)
                record = None if found is None else decoded(found.value)
                if found is None or record is None or record.epoch != epoch:
                    return
                more = msgspec.structs.replace(record, good=record.good + 1)
                with suppress(WrongRevisionError):
                    await self._put(STATE + key, more, found.revision)
                    return

    async def _tell_forever(self) -> NoReturn:
        while True:
            await self._more.wait()
            self._more.clear()
            for name, said in list(self._untold.items()):
                try:
                    await self._tell(name, said)
                except BrokerUnavailable:
                    BREAKER_LOCAL.labels("away").inc()
                    break
                if self._untold.get(name) is said:
                    del self._untold[name]

    async def _tell(self, name: str, said: Record | Pause) -> None:
        if isinstance(said, Pause):
            await self.bucket.put(name, msgspec.json.encode(said), ttl_s=max(1.0, said.for_s))
            return
        for _ in range(ATTEMPTS):
            found = await self.bucket.get(name)
            theirs = None if found is None else decoded(found.value)
            ours = said if theirs is None else merged(said, theirs)
            if ours is None:
                if theirs is not None:
                    self.on_record(name.removeprefix(STATE), theirs)
                return
            with suppress(WrongRevisionError):
                await self._put(name, ours, 0 if found is None else found.revision)
                return

    async def _put(self, name: str, record: Record, after: int) -> None:
        data = msgspec.json.encode(record)
        await self.bucket.put(name, data, after=after, ttl_s=record.rest_s + KEPT_S)

    def _on_entry(self, entry: Entry) -> None:
        kind, key = entry.key[:2], entry.key[2:]
        if kind not in (STATE, PAUSE):
            return
        try:
            standing.tenant_and_subject(key)
            if kind == STATE:
                self.on_record(key, _record.decode(entry.value))
            else:
                self.on_pause(key, _pause.decode(entry.value))
        except (ValueError, msgspec.DecodeError) as error:
            log.warning("breaker_unreadable", key=entry.key, reason=str(error))

    async def _keep(self) -> NoReturn:
        """See to it that there is a bucket, and that what could not be told is tried again."""
        said = False
        while True:
            if not self._watch.alive:
                try:
                    await self.bucket.ensure_passing(
                        life_s=LIFE_S,
                        max_bytes=MAX_BYTES,
                        max_value_bytes=MAX_VALUE_BYTES,
                        values_end=True,
                    )
                    said = False
                except BrokerUnavailable as error:
                    if not said:
                        log.warning("breakers_not_shared", reason=str(error))
                    said = True
            elif self._watch.identity != self._identity:
                self._identity = self._watch.identity
                self.on_lost()
            if self._untold:
                self._more.set()
            await asyncio.sleep(LOOK_S)


def merged(ours: Record, theirs: Record) -> Record | None:
    """Return what is to be told where another has told something; `None`: theirs stands.

    One that has just opened by calls of its own is the newer, whatever epoch the breaker had that
    closed and was forgotten here. A probe is of the epoch that it was made in.
    """
    if ours.epoch > theirs.epoch:
        return ours
    if ours.state == "open" and theirs.state == "closed" and ours.why != "probe":
        return msgspec.structs.replace(ours, epoch=theirs.epoch + 1)
    return None


def decoded(data: bytes) -> Record | None:
    """Return a record, or `None` for what is none."""
    try:
        return _record.decode(data)
    except (ValueError, msgspec.DecodeError):
        return None


def _permit(key: str, epoch: int, slot: int) -> str:
    return f"{PERMIT}{key}.{epoch}.{slot}"
