"""How messages go out: one by one, or as atomic batches that share one sync of the broker's disk.

Where the broker syncs each write before it acknowledges (`sync_interval: always`), a message alone
costs a sync, and a batch of hundreds costs a few. So messages that come while earlier ones are on
their way are kept together and leave as one batch: the busier it is, the larger the batches.
"""

import secrets
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from crossdock import native
from crossdock.bus.pending import Pending

MAX_FLIGHTS: Final = 2
"""Groups on their way at a time; the broker allows 50 open batches on a stream for everyone."""

MAX_MESSAGES: Final = 1000
"""The broker's limit for a batch."""

MAX_BYTES: Final = 4 * 1024 * 1024

SMALLEST_BATCH: Final = 12
"""Fewer are sooner stored one by one: a batch has a fixed cost of about that many syncs."""

PATIENCE: Final = 0.4
"""The part of the publish timeout after which a batch without an answer is sent again singly."""

DISABLED: Final = 10174
"""The broker's error code for a stream that takes no atomic batches."""

log = structlog.get_logger(__name__)

Write = Callable[[bytes], None]


class Pipeline(Protocol):
    """Sends messages and hears what became of them."""

    def send(self, queue: list[native.Message], first: int, now: float) -> int:
        """Send from the queue's front; its first message has the token `first`. Return how many."""

    def acknowledged(self, tokens: list[int]) -> None:
        """Replies came that say "stored"."""

    def refused(self, token: int, code: int, reason: str) -> None:
        """A reply came that says something else."""

    def lost(self) -> None:
        """Replies to what was sent won't come any more."""

    def tick(self, now: float) -> None:
        """Look after what takes too long."""


class Plain:
    """Each message on its own, as many in flight as there are."""

    def __init__(self, pending: Pending, inbox: bytes, write: Write) -> None:
        self._pending = pending
        self._inbox = inbox
        self._write = write

    def send(self, queue: list[native.Message], first: int, now: float) -> int:  # noqa: ARG002
        """Send all of it."""
        self._write(native.plain_frames(queue, self._inbox, first))
        return len(queue)

    def acknowledged(self, tokens: list[int]) -> None:
        """Tell each sender."""
        self._pending.resolve(tokens)

    def refused(self, token: int, code: int, reason: str) -> None:  # noqa: ARG002
        """Tell the sender."""
        self._pending.fail((token,), reason)

    def lost(self) -> None:
        """Nothing is kept here."""

    def tick(self, now: float) -> None:
        """Deadlines are `Pending`'s."""


class _Flight:
    """Messages that left together."""

    __slots__ = ("deadline", "first", "left", "messages")

    def __init__(self, messages: list[native.Message], first: int, deadline: float) -> None:
        self.messages = messages
        self.first = first
        self.deadline = deadline
        self.left = len(messages)

    @property
    def tokens(self) -> range:
        return range(self.first, self.first + len(self.messages))


class Grouped:
    """Few groups in flight; what comes meanwhile forms the next one."""

    def __init__(self, pending: Pending, inbox: bytes, write: Write, timeout_s: float) -> None:
        self._pending = pending
        self._inbox = inbox
        self._write = write
        self._timeout_s = timeout_s
        self._batches: dict[int, _Flight] = {}
        """By the token of the one reply, which is the last message's."""
        self._singles: dict[int, _Flight] = {}
        """By the token of each message."""
        self._flights = 0
        self._is_disabled = False

    def send(self, queue: list[native.Message], first: int, now: float) -> int:
        """Send groups while there is room for one more in flight."""
        sent = 0
        while sent < len(queue) and self._flights < MAX_FLIGHTS:
            group = _group(queue, sent)
            self._launch(_Flight(group, first + sent, now))
            sent += len(group)
        return sent

    def _launch(self, flight: _Flight) -> None:
        self._flights += 1
        if self._is_disabled or len(flight.messages) < SMALLEST_BATCH:
            flight.deadline += self._timeout_s
            self._singles.update(dict.fromkeys(flight.tokens, flight))
            self._write(native.plain_frames(flight.messages, self._inbox, flight.first))
            return
        flight.deadline += self._timeout_s * PATIENCE
        last = flight.tokens[-1]
        self._batches[last] = flight
        batch_id = secrets.token_hex(12)
        self._write(native.batch_frames(flight.messages, self._inbox, last, batch_id))

    def acknowledged(self, tokens: list[int]) -> None:
        """Tell each sender of a batch, or the one."""
        for token in tokens:
            batch = self._batches.pop(token, None)
            if batch is None:
                self._land(token)
            else:
                self._flights -= 1
                self._pending.resolve(batch.tokens)
        self._pending.resolve(tokens)

    def refused(self, token: int, code: int, reason: str) -> None:
        """Send a refused batch again one by one: each message then has its own answer."""
        if token not in self._batches:
            self._land(token)
            self._pending.fail((token,), reason)
            return
        if code == DISABLED and not self._is_disabled:
            self._is_disabled = True
            log.warning("group_commit_disabled", reason=reason)
        self._split(token, reason)

    def lost(self) -> None:
        """Forget what was in flight; `Pending` fails it."""
        self._batches.clear()
        self._singles.clear()
        self._flights = 0

    def tick(self, now: float) -> None:
        """Split batches that got no answer; give up waiting for single ones."""
        for token in [token for token, flight in self._batches.items() if flight.deadline <= now]:
            self._split(token, "no answer")
        for token in [token for token, flight in self._singles.items() if flight.deadline <= now]:
            self._land(token)

    def _split(self, token: int, reason: str) -> None:
        """The same tokens and message ids: were the batch stored after all, nothing is twice."""
        flight = self._batches.pop(token)
        log.warning("batch_split", messages=len(flight.messages), reason=reason)
        flight.deadline += self._timeout_s * (1 - PATIENCE)
        self._singles.update(dict.fromkeys(flight.tokens, flight))
        self._write(native.plain_frames(flight.messages, self._inbox, flight.first))

    def _land(self, token: int) -> None:
        flight = self._singles.pop(token, None)
        if flight is not None:
            flight.left -= 1
            self._flights -= flight.left == 0


def _group(queue: list[native.Message], start: int) -> list[native.Message]:
    """Return what fits one batch."""
    size = 0
    end = start
    for message in queue[start : start + MAX_MESSAGES]:
        size += message.size
        if size > MAX_BYTES and end > start:
            break
        end += 1
    return queue[start:end]
