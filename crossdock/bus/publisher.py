"""Publishes with the broker's acknowledgement, many at a time, and never says yes without it."""

import asyncio
import random
from collections import deque
from typing import Final

import msgspec
import structlog

from crossdock import native
from crossdock.bus.connection import servers, tls_context
from crossdock.bus.grouping import Grouped, Pipeline, Plain
from crossdock.bus.pending import Pending
from crossdock.bus.wire import Address, Connection, dial
from crossdock.config import NatsSettings
from crossdock.errors import BrokerUnavailable, TooLarge
from crossdock.telemetry import metrics

TICK_S: Final = 0.1
PING_AFTER_TICKS: Final = 10
RETRY_S: Final = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0)
JITTER: Final = 0.2
NO_RESPONDERS: Final = 503

log = structlog.get_logger(__name__)


class _Error(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct):
    error: _Error | None = None
    seq: int = 0


_decoder: Final = msgspec.json.Decoder(_Ack)


class Publisher:
    """One process's way into the streams.

    Not connected, stalled or full, it refuses at once. A connection that is lost fails all that was
    not acknowledged: it may be stored or not, and whoever sent it must send again.
    """

    def __init__(
        self,
        settings: NatsSettings,
        *,
        timeout_s: float = 5.0,
        max_pending: int = 10_000,
        max_queued_bytes: int = 64 * 1024 * 1024,
        is_measured: bool = True,
    ) -> None:
        """Say where and how much.

        Args:
            settings: where the broker is; `group_commit` chooses atomic batches.
            timeout_s: how long a message may wait for its acknowledgement, to within 0.2 s.
            max_pending: messages that may wait for one, sent or not.
            max_queued_bytes: of those not sent yet, because the broker is slow to read.
            is_measured: whether the metrics are this one's; a process has one of each.
        """
        tls = tls_context(settings)
        self._addresses = [
            Address.parse(url, settings.user, settings.password, tls) for url in servers(settings)
        ]
        self._inbox = b"_INBOX.%b." % random.randbytes(12).hex().encode()  # noqa: S311 - a name
        self._timeout_s = timeout_s
        self._max_pending = max_pending
        self._max_queued_bytes = max_queued_bytes
        self._is_measured = is_measured
        self._loop = asyncio.get_running_loop()
        self._pending = Pending(timeout_s)
        self._queue: list[native.Message] = []
        """The last messages that got tokens, so theirs end at `Pending.next`."""
        self._queued_bytes = 0
        self._flushing = False
        self._sent: deque[tuple[int, float]] = deque()
        """When the messages below a token were sent, for the metric."""
        self._connection: Connection | None = None
        self._reason = "the broker is not connected yet"
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._silent_ticks = 0
        self._pipeline: Pipeline = (
            Grouped(self._pending, self._inbox, self._write, timeout_s)
            if settings.group_commit
            else Plain(self._pending, self._inbox, self._write)
        )
        self._tasks = (
            self._loop.create_task(self._stay_connected(), name="publisher connection"),
            self._loop.create_task(self._tick_for_ever(), name="publisher clock"),
        )

    @property
    def is_connected(self) -> bool:
        """Whether a message could be sent right now."""
        return self._connection is not None

    @property
    def pending(self) -> int:
        """How many messages wait for the broker's word."""
        return len(self._pending)

    def publish(self, message: native.Message) -> asyncio.Future[None]:
        """Return a future that is done once the message is stored.

        The future raises `BrokerUnavailable` where the message was refused, had its deadline, or
        its fate is unknown.

        Raises:
            BrokerUnavailable: the broker is away, or too much waits for it already.
            TooLarge: the broker takes no message of this size.
        """
        connection = self._connection
        if connection is None:
            raise BrokerUnavailable(self._reason)
        pending = self._pending
        if len(pending.futures) >= self._max_pending or self._queued_bytes > self._max_queued_bytes:
            raise BrokerUnavailable("too many messages wait for the broker")
        size = message.size
        if size > connection.max_payload:
            raise TooLarge
        future = self._loop.create_future()
        pending.futures[pending.next] = future
        pending.next += 1
        self._queue.append(message)
        self._queued_bytes += size
        if not self._flushing:
            # One write a turn of the loop, with all that this turn brought: each wakes the broker.
            self._flushing = True
            self._loop.call_soon(self._flush)
        return future

    async def wait_connected(self) -> None:
        """Return once there is a connection."""
        await self._connected.wait()

    async def drain(self, timeout_s: float) -> int:
        """Wait until nothing waits for the broker's word, and return how much still does."""
        deadline = self._loop.time() + timeout_s
        # Looked at now and then: an event would cost every acknowledgement a look instead.
        while self._pending.futures and self._loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(TICK_S / 10)
        return len(self._pending)

    async def close(self) -> None:
        """Disconnect; what is still waiting fails."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        connection = self._connection
        self._down("the publisher was closed")
        if connection is not None:
            connection.abort("the publisher was closed")

    # Sending.

    def _flush(self) -> None:
        self._flushing = False
        queue = self._queue
        connection = self._connection
        if not queue or connection is None or not connection.is_writable:
            return
        now = self._loop.time()
        sent = self._pipeline.send(queue, self._pending.next - len(queue), now)
        if sent == len(queue):
            queue.clear()
            self._queued_bytes = 0
        elif sent:
            self._queued_bytes -= sum(message.size for message in queue[:sent])
            del queue[:sent]
        if sent:
            self._sent.append((self._pending.next - len(queue), now))

    def _write(self, frames: bytes) -> None:
        if self._connection is not None:
            self._connection.write(frames)

    # What the connection tells: see `crossdock.bus.wire.Listener`.

    def acknowledged(self, tokens: list[int]) -> None:
        """These are stored."""
        self._measure(tokens)
        self._pipeline.acknowledged(tokens)
        if self._queue:
            self._flush()

    def answered(self, token: int, status: int, payload: bytes) -> None:
        """This one is not, or in a form that only a JSON decoder can tell."""
        code, reason = _refusal(status, payload)
        if reason:
            self._pipeline.refused(token, code, reason)
        else:
            self._pipeline.acknowledged([token])
        if self._queue:
            self._flush()

    def drained(self) -> None:
        """There is room to write again."""
        self._flush()

    def lost(self, reason: str) -> None:
        """Nobody will ever know about what was sent."""
        if self._connection is None:
            return
        log.warning("publisher_disconnected", reason=reason, unacknowledged=len(self._pending))
        self._down(reason)

    def _down(self, reason: str) -> None:
        self._connection = None
        self._connected.clear()
        self._reason = f"the broker is away: {reason}"
        self._queue.clear()
        self._queued_bytes = 0
        self._sent.clear()
        self._pipeline.lost()
        self._pending.fail_all(self._reason)
        self._lost.set()

    def _measure(self, tokens: list[int]) -> None:
        """Tally a chunk of acknowledgements by its first: they left in one write, mostly."""
        sent = self._sent
        while sent and sent[0][0] <= tokens[0]:
            sent.popleft()
        if sent and self._is_measured:
            metrics.PUBLISH_SECONDS.tally(self._loop.time() - sent[0][1], len(tokens))

    # Staying connected.

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            address = self._addresses[failures % len(self._addresses)]
            pause = RETRY_S[min(failures, len(RETRY_S) - 1)]
            await asyncio.sleep(pause * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
            try:
                connection = await dial(address, self, self._inbox)
            except BrokerUnavailable as error:
                self._reason = f"the broker is away: {error}"
                if not failures:
                    log.warning("publisher_waits", host=address.host, reason=str(error))
                failures += 1
                continue
            log.info("publisher_connected", host=address.host, port=address.port)
            failures = 0
            self._silent_ticks = 0
            self._lost.clear()
            self._connection = connection
            self._connected.set()
            await self._lost.wait()

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._tick(self._loop.time())

    def _tick(self, now: float) -> None:
        if self._pending.tick(now):
            self._forget_expired()
        self._pipeline.tick(now)
        self._flush()
        if self._is_measured:
            metrics.PUBLISH_PENDING.set(len(self._pending))
        self._check_silence()

    def _forget_expired(self) -> None:
        """Whoever sent what is still queued has had an answer by now: don't send it."""
        first = self._pending.next - len(self._queue)
        alive = next(
            (i for i, _ in enumerate(self._queue) if first + i in self._pending.futures), None
        )
        gone = len(self._queue) if alive is None else alive
        self._queued_bytes -= sum(message.size for message in self._queue[:gone])
        del self._queue[:gone]

    def _check_silence(self) -> None:
        """A broker that is stopped keeps its connections: ask it, then leave it."""
        connection = self._connection
        if connection is None:
            return
        if connection.heard or not self._pending.futures:
            connection.heard = False
            self._silent_ticks = 0
            return
        self._silent_ticks += 1
        if self._silent_ticks * TICK_S >= self._timeout_s:
            connection.abort("it stopped answering")
        elif self._silent_ticks % PING_AFTER_TICKS == 0:
            connection.ping()


def _refusal(status: int, payload: bytes) -> tuple[int, str]:
    """Return the error code and words of a reply; no words where it says "stored" after all."""
    if status:
        return status, "no stream takes this subject" if status == NO_RESPONDERS else f"{status}"
    try:
        ack = _decoder.decode(payload)
    except msgspec.DecodeError:
        return 0, "the broker's answer can't be read"
    if ack.error is not None:
        return ack.error.err_code, ack.error.description or "refused"
    return 0, "" if ack.seq else "the broker's answer has no sequence"
