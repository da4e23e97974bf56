"""One key-value bucket, and a watch of it that proves every half second that it lives.

A watch is an ephemeral push consumer of ours with an idle heartbeat of 200 ms, not the client's
`watchall`: that one asks for a heartbeat every 5 s, so that after a broker's restart, which forgets
the consumer, it stays deaf for more than ten seconds on a connected client. Here silence over half
a second, a gap in the sequence, or a lost connection ends the session, and the next one resumes
from the last revision seen. See `docs/decisions/` for the measurements.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NoReturn, TypeVar

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    ConsumerInfo,
    DeliverPolicy,
    DiscardPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from crossdock.bus.connection import Bus, as_unavailable
from crossdock.errors import BrokerUnavailable

HEARTBEAT_S: Final = 0.2
TICK_S: Final = 0.1
SILENT_TICKS: Final = 5
"""Ticks, not seconds: a stalled event loop counts as one, for the words may be in the socket."""
REQUEST_TIMEOUT_S: Final = 0.5
PUT_TIMEOUT_S: Final = 2.0
"""Longer than a read's: a put waits for the disk, with others before it."""
RETRY_S: Final = (0.05, 0.1, 0.25)
FORGET_AFTER_S: Final = 5.0
"""When the server drops a consumer that lost its watcher."""
WRONG_REVISION: Final = (10071, 10164)

_KV: Final = "KV_"

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class Entry(msgspec.Struct, frozen=True):
    """A key's value at one revision of the bucket."""

    key: str
    value: bytes
    revision: int


class BucketState(msgspec.Struct, frozen=True):
    """Which bucket this is, and how far it goes."""

    identity: str
    """When it was created: another one means that the data are not those seen before."""
    last_revision: int


async def buckets(bus: Bus) -> list[str]:
    """Return the names of all buckets there are.

    Raises:
        BrokerUnavailable: the broker did not answer.
    """
    found: list[str] = []
    with as_unavailable():
        while page := await _answer(bus.jetstream(REQUEST_TIMEOUT_S).streams_info(len(found))):
            found += [str(info.config.name) for info in page]
    return [name.removeprefix(_KV) for name in found if name.startswith(_KV)]


class WrongRevisionError(Exception):
    """The key has changed since it was read."""


class Bucket:
    """A bucket's keys, read and written; what goes wrong with the broker is `BrokerUnavailable`."""

    def __init__(self, bus: Bus, name: str) -> None:
        self.client: Final = bus.client
        self.stream: Final = f"{_KV}{name}"
        self.prefix: Final = f"$KV.{name}."
        self.js: Final = bus.jetstream(REQUEST_TIMEOUT_S)

    async def ensure(self, *, replicas: int = 1) -> None:
        """Create the bucket where it is missing: last value only, on disk, full means refused."""
        config = StreamConfig(
            name=self.stream,
            subjects=[f"{self.prefix}>"],
            max_msgs_per_subject=1,
            storage=StorageType.FILE,
            num_replicas=replicas,
            discard=DiscardPolicy.NEW,
            allow_direct=True,
            allow_rollup_hdrs=True,
            allow_msg_ttl=True,
            deny_delete=True,
        )
        await self._create(config)

    async def ensure_passing(
        self, *, life_s: float, max_bytes: int, max_value_bytes: int, values_end: bool = False
    ) -> None:
        """Create the bucket where it is missing, in the broker's memory: what is old makes room.

        Args:
            life_s: seconds that a value is kept at most.
            max_bytes: of all values.
            max_value_bytes: of one.
            values_end: a value may have a shorter life of its own; see `put`.
        """
        config = StreamConfig(
            name=self.stream,
            subjects=[f"{self.prefix}>"],
            max_msgs_per_subject=1,
            max_age=life_s,
            max_bytes=max_bytes,
            max_msg_size=max_value_bytes,
            storage=StorageType.MEMORY,
            num_replicas=1,
            discard=DiscardPolicy.OLD,
            allow_direct=True,
            allow_msg_ttl=values_end or None,
        )
        await self._create(config)

    async def _create(self, config: StreamConfig) -> None:
        with as_unavailable():
            try:
                await _answer(self.js.stream_info(self.stream))
            except NotFoundError:
                await _answer(self.js.add_stream(config))

    async def state(self) -> BucketState:
        """Return which bucket this is and its last revision."""
        with as_unavailable():
            info = await _answer(self.js.stream_info(self.stream))
        return BucketState(identity=str(info.created), last_revision=info.state.last_seq)

    async def get(self, key: str) -> Entry | None:
        """Return a key's value, or `None` when it has none or was deleted."""
        with as_unavailable():
            try:
                found = await _answer(
                    self.js.get_msg(self.stream, subject=self.prefix + key, direct=True)
                )
            except NotFoundError:
                return None
        if not found.data or found.seq is None:
            return None
        return Entry(key=key, value=found.data, revision=found.seq)

    async def put(
        self, key: str, value: bytes, *, after: int | None = None, ttl_s: float | None = None
    ) -> int:
        """Store a value and return its revision, once the broker has it.

        Args:
            key: whose value.
            value: what.
            after: the revision that must be the key's last one (0: none), or the value is refused.
            ttl_s: after so many seconds the broker drops it, and tells no watch.

        Raises:
            WrongRevisionError: the key has another revision than `after`.
        """
        headers = {}
        if after is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(after)
        if ttl_s is not None:
            headers["Nats-TTL"] = f"{math.ceil(ttl_s)}s"
        with as_unavailable():
            try:
                ack = await _answer(
                    self.js.publish(
                        self.prefix + key, value, timeout=PUT_TIMEOUT_S, headers=headers or None
                    )
                )
            except APIError as error:
                if error.err_code in WRONG_REVISION:
                    raise WrongRevisionError from error
                raise
        return ack.seq

    async def tell(self, key: str, value: bytes) -> None:
        """Send a value on its way and don't ask whether it arrives."""
        with as_unavailable():
            await self.client.publish(self.prefix + key, value)


class Watch:
    """Every entry of a bucket, once and in order, then each change; resumed for as long as it runs.

    `loaded` says that all entries there were at the session's start have been handed over,
    `sessions` counts the beginnings, `alive` is false from the moment a session ends until the next
    one has begun. Deletions are not handed over: in these buckets a deletion is a value.

    Args:
        bucket: what to watch.
        on_entry: is given each entry; it must not raise.
        on_reload: given, each session begins with all entries anew, and it is called before them;
            otherwise a session begins after the last revision seen, unless the bucket is another.
    """

    def __init__(
        self,
        bucket: Bucket,
        on_entry: Callable[[Entry], None],
        *,
        on_reload: Callable[[], None] | None = None,
    ) -> None:
        self._bucket = bucket
        self._on_entry = on_entry
        self._on_reload = on_reload
        self._consumer_seq = 0
        self._silent_ticks = 0
        self._broken = asyncio.Event()
        self.identity = ""
        self.revision = 0
        self.began_at = 0
        """The bucket's last revision when the session began: what is above it is news."""
        self.sessions = 0
        self.alive = False
        self.loaded = False

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        failures = 0
        while True:
            try:
                async with self._session():
                    failures = 0
                    await self._until_broken()
            except BrokerUnavailable as error:
                if not failures:
                    log.warning("watch_waits", stream=self._bucket.stream, error=str(error))
                failures += 1
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[None]:
        """One consumer, from the revision after the last one seen."""
        if not self._bucket.client.is_connected:
            raise BrokerUnavailable("not connected")
        state = await self._bucket.state()
        if state.identity != self.identity or state.last_revision < self.revision:
            self.identity, self.revision = state.identity, 0
        if self._on_reload is not None:
            self.revision = 0
            self._on_reload()
        self.began_at = state.last_revision
        self.sessions += 1
        self._consumer_seq = self._silent_ticks = 0
        self._broken.clear()
        self.loaded = False
        inbox = self._bucket.client.new_inbox()
        with as_unavailable():
            subscription = await self._bucket.client.subscribe(inbox, cb=self._on_message)
        try:
            consumer = await self._create_consumer(inbox)
            self.loaded = self.loaded or not consumer.num_pending
            self.alive = True
            yield
        finally:
            self.alive = False
            with suppress(NatsError):
                await subscription.unsubscribe()

    async def _create_consumer(self, inbox: str) -> ConsumerInfo:
        resumed = self.revision > 0
        config = ConsumerConfig(
            deliver_policy=(
                DeliverPolicy.BY_START_SEQUENCE if resumed else DeliverPolicy.LAST_PER_SUBJECT
            ),
            opt_start_seq=self.revision + 1 if resumed else None,
            filter_subject=f"{self._bucket.prefix}>",
            deliver_subject=inbox,
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            flow_control=True,
            idle_heartbeat=HEARTBEAT_S,
            inactive_threshold=FORGET_AFTER_S,
            mem_storage=True,
            num_replicas=1,
        )
        with as_unavailable():
            return await _answer(self._bucket.js.add_consumer(self._bucket.stream, config))

    async def _until_broken(self) -> None:
        """Return when the session is deaf, has a gap, or the connection is lost."""
        while self._silent_ticks < SILENT_TICKS and self._bucket.client.is_connected:
            self._silent_ticks += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._broken.wait()
                break
        log.warning(
            "watch_restarts",
            stream=self._bucket.stream,
            revision=self.revision,
            reason=self._reason(),
        )

    def _reason(self) -> str:
        if self._broken.is_set():
            return "gap"
        return "silent" if self._bucket.client.is_connected else "disconnected"

    async def _on_message(self, message: Msg) -> None:
        self._silent_ticks = 0
        headers = message.headers
        if headers and "Status" in headers:
            await self._on_control(message, headers)
            return
        revision, sequence, pending = positions(message.reply)
        if sequence != self._consumer_seq + 1:
            self._broken.set()
        if self._broken.is_set():
            return
        self._consumer_seq = sequence
        self.revision = revision
        if message.data:
            key = message.subject[len(self._bucket.prefix) :]
            self._on_entry(Entry(key=key, value=message.data, revision=revision))
        if not pending:
            self.loaded = True

    async def _on_control(self, message: Msg, headers: dict[str, str]) -> None:
        """Answer flow control; find from a heartbeat whether anything was lost."""
        answer = message.reply or headers.get("Nats-Consumer-Stalled")
        if answer:
            with suppress(NatsError):
                await self._bucket.client.publish(answer)
        if int(headers.get("Nats-Last-Consumer", self._consumer_seq)) != self._consumer_seq:
            self._broken.set()


def positions(reply: str) -> tuple[int, int, int]:
    """Return stream sequence, consumer sequence and pending count of a JetStream message's reply.

    `$JS.ACK.[domain.account.]stream.consumer.delivered.stream-seq.consumer-seq.time.pending[.token]`
    """
    tokens = reply.split(".")
    first = 5 if len(tokens) == 9 else 7  # noqa: PLR2004 - the short form has nine tokens
    return int(tokens[first]), int(tokens[first + 1]), int(tokens[first + 3])


async def _answer(request: Coroutine[Any, Any, Answer]) -> Answer:
    """Wait for a reply where a cancellation can't be lost.

    nats-py awaits each reply with `asyncio.wait_for`, which before Python 3.12 swallows a
    cancellation that comes in the same turn of the loop as the reply: what was to end runs on.
    """
    return await asyncio.shield(asyncio.ensure_future(request))
