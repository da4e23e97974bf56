"""The workers' pull consumer: what is accepted flows in as it comes, never more than was asked for.

nats-py's `fetch` either lingers for a full batch or asks again and again. Here one request is open
at a time for what there is room for; its messages are handed on as soon as somebody wants them. The
server's idle heartbeats show that a request still lives: a silent one is replaced.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from crossdock.bus.connection import Bus, as_unavailable

EXPIRES_S: Final = 10.0
HEARTBEAT_S: Final = 1.0
SILENCE_S: Final = 2.5 * HEARTBEAT_S
"""A request that has said nothing for so long is lost, perhaps with a broker's restart."""
GATHER_S: Final = 0.002
"""How long a batch waits for company after its first message."""

BITE_BYTES: Final = 16 * 1024 * 1024
"""What one request may bring, and so about what may wait here: the broker holds 64 MiB for a client
and cuts off whoever is slower than that. No message may be larger than half of it."""

_NANOSECONDS: Final = 1_000_000_000
_STATUS: Final = "Status"
_HEARTBEAT: Final = "100"

log = structlog.get_logger(__name__)


class Pulled(msgspec.Struct, frozen=True):
    """One message, to be acknowledged, put back or ended."""

    data: bytes
    stream_seq: int
    deliveries: int
    """How often it was handed out, this time included."""
    reply: str


class Consumer:
    """A durable consumer's messages. One caller of `fetch` at a time."""

    def __init__(self, bus: Bus, stream: str, durable: str, *, room: int) -> None:
        """Say which.

        Args:
            bus: the connection.
            stream: the stream's name.
            durable: the consumer's, which exists already.
            room: how many messages may wait here.
        """
        self._bus = bus
        self._ask_subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._inbox = bus.client.new_inbox()
        self._room = room
        self._waiting: deque[Pulled] = deque()
        self._waiting_bytes = 0
        self._owed = 0
        """What the open request may still bring."""
        self._request = 0
        self._heard_at = 0.0
        self._arrived = asyncio.Event()
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        """Begin to listen.

        Raises:
            BrokerUnavailable: the broker is away.
        """
        with as_unavailable():
            self._subscription = await self._bus.client.subscribe(f"{self._inbox}.*", cb=self._take)

    async def fetch(self, limit: int, *, within_s: float) -> list[Pulled]:
        """Return up to `limit` messages as soon as there are some; none, if none come in time.

        Raises:
            BrokerUnavailable: the broker is away.
        """
        ends = time.monotonic() + within_s
        while not self._waiting:
            # Cleared first: what arrives while we ask must not be waited for.
            self._arrived.clear()
            await self._ask()
            left = min(ends - time.monotonic(), HEARTBEAT_S)
            if left <= 0:
                return []
            try:
                async with asyncio.timeout(left):
                    await self._arrived.wait()
            except TimeoutError:
                continue
        if len(self._waiting) < limit:
            await asyncio.sleep(GATHER_S)
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        self._waiting_bytes -= sum(len(message.data) for message in taken)
        await self._ask()
        return taken

    async def ack(self, messages: Iterable[Pulled]) -> None:
        """Say that these are done with for good."""
        await self._say(b"+ACK", messages)

    async def working(self, messages: Iterable[Pulled]) -> None:
        """Ask for more time for these."""
        await self._say(b"+WPI", messages)

    async def put_back(self, messages: Iterable[Pulled]) -> None:
        """Let somebody else have these, now."""
        await self._say(b"-NAK", messages)

    async def end(self, messages: Iterable[Pulled]) -> None:
        """Say that these must never come again."""
        await self._say(b"+TERM", messages)

    async def close(self) -> None:
        """Listen no more, and put back what nobody fetched.

        Raises:
            BrokerUnavailable: the broker is away; it will hand them out again by itself.
        """
        if self._subscription is None:
            return
        with as_unavailable():
            await self._subscription.unsubscribe()
        self._subscription = None
        waiting = list(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        await self.put_back(waiting)

    async def _ask(self) -> None:
        """Open a request for what there is room for, unless one is open."""
        now = time.monotonic()
        if self._owed > 0 and now - self._heard_at < SILENCE_S:
            return
        if self._owed > 0:
            log.warning("pull_went_silent", owed=self._owed)
        wanted = self._room - len(self._waiting)
        bytes_wanted = BITE_BYTES - self._waiting_bytes
        if wanted <= 0 or bytes_wanted < BITE_BYTES // 2:
            return
        self._request += 1
        self._owed = wanted
        self._heard_at = now
        ask = {
            "batch": wanted,
            "max_bytes": bytes_wanted,
            "expires": int(EXPIRES_S * _NANOSECONDS),
            "idle_heartbeat": int(HEARTBEAT_S * _NANOSECONDS),
        }
        with as_unavailable():
            await self._bus.client.publish(
                self._ask_subject, msgspec.json.encode(ask), f"{self._inbox}.{self._request}"
            )

    async def _take(self, message: Msg) -> None:
        """Keep a message, or learn how the open request stands."""
        is_open = message.subject.endswith(f".{self._request}")
        if is_open:
            self._heard_at = time.monotonic()
        status = (message.headers or {}).get(_STATUS) if not message.data else None
        if status is None:
            self._keep(message)
            self._owed -= is_open
        elif is_open and status != _HEARTBEAT:
            self._owed = 0  # it expired, was replaced, or the server is going away
        if not self._owed or self._waiting:
            self._arrived.set()

    def _keep(self, message: Msg) -> None:
        facts = message.metadata
        self._waiting_bytes += len(message.data)
        self._waiting.append(
            Pulled(message.data, facts.sequence.stream, facts.num_delivered, message.reply)
        )

    async def _say(self, word: bytes, messages: Iterable[Pulled]) -> None:
        with as_unavailable():
            for message in messages:
                await self._bus.client.publish(message.reply, word)
