"""Answers told to the other gateway processes, over a bucket of NATS that forgets within minutes.

It is a shortcut and nothing else. Nobody waits for it, nothing rests on it, and whatever goes wrong
with it costs a question to PostgreSQL. What goes over it is sealed and bound to its claim, so who
can write into the bucket can make nobody believe an answer.
"""

import asyncio
from contextlib import suppress
from typing import Final, NoReturn

import structlog

from crossdock.bus.connection import Bus
from crossdock.bus.kv import Bucket, Entry, Watch
from crossdock.endless import together
from crossdock.errors import BrokerUnavailable
from crossdock.idempotency.memory import LIFE_S, Memory
from crossdock.idempotency.vault import DIGEST_BYTES
from proto.subjects import ANSWERS_BUCKET

MAX_ANSWER_BYTES: Final = 8 * 1024
"""A larger answer is not told: a place for it costs the others more than a look-up costs it."""

MAX_BYTES: Final = 32 * 1024**2
LOOK_S: Final = 1.0
"""How often it is looked whether there is a bucket: the broker loses it with its memory."""

MAX_WAITING: Final = 1000
"""Answers that wait to be told; what comes on top is not."""

log = structlog.get_logger(__name__)


class Sharing:
    """A process's memory of answers, and what tells the others of them and hears from them."""

    def __init__(self, bus: Bus, memory: Memory | None = None) -> None:
        self.memory: Final = Memory() if memory is None else memory
        self._bucket = Bucket(bus, ANSWERS_BUCKET)
        self._watch = Watch(self._bucket, self._on_entry)
        self._waiting: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue(MAX_WAITING)

    @property
    def is_heard(self) -> bool:
        """Whether this process hears what the others tell."""
        return self._watch.alive

    async def run(self) -> NoReturn:
        """Hear from the others until cancelled."""
        await together(self._keep(), self._watch.run(), self._tell())

    def get(self, digest: bytes) -> bytes | None:
        """Return a sealed answer, if it is known here."""
        return self.memory.get(digest)

    def share(self, digest: bytes, sealed: bytes) -> None:
        """Keep a sealed answer here, and have it told to the others soon."""
        if len(sealed) > MAX_ANSWER_BYTES:
            return
        self.memory.put(digest, sealed)
        if self._watch.alive:  # else there is no bucket, or nobody to carry it there
            with suppress(asyncio.QueueFull):
                self._waiting.put_nowait((digest, sealed))

    async def _tell(self) -> NoReturn:
        while True:
            digest, sealed = await self._waiting.get()
            with suppress(BrokerUnavailable):
                await self._bucket.tell(digest.hex(), sealed)

    def _on_entry(self, entry: Entry) -> None:
        try:
            digest = bytes.fromhex(entry.key)
        except ValueError:
            return
        if len(digest) == DIGEST_BYTES and len(entry.value) <= MAX_ANSWER_BYTES:
            self.memory.put(digest, entry.value)

    async def _keep(self) -> NoReturn:
        """See to it that there is a bucket, for as long as none is heard of."""
        said = False
        while True:
            if not self._watch.alive:
                try:
                    await self._bucket.ensure_passing(
                        life_s=LIFE_S, max_bytes=MAX_BYTES, max_value_bytes=MAX_ANSWER_BYTES
                    )
                    said = False
                except BrokerUnavailable as error:
                    if not said:
                        log.warning("answers_not_shared", reason=str(error))
                    said = True
            await asyncio.sleep(LOOK_S)
