"""Tenants whose webhooks come at a rate that does not wait for answers."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle
from time import monotonic, time
from typing import Final, NamedTuple

import aiohttp
import msgspec
from standardwebhooks import Webhook

from crossdock.samples.sender import new_serial
from tests.faults.waiting import AWAY
from tests.soak.ways import KEYS, Way, order_of

MIX: Final = 500
OUTSTANDING: Final = 2_000
"""Requests without an answer, above which the next wait: then it was not the rate it should be."""
SIZES: Final = (120, 400, 900, 2_500, 9_000)
"""Bytes that fill bodies up, by turns: webhooks are of no one size."""


class Source(NamedTuple):
    """Where a tenant's webhooks go."""

    tenant: str
    url: str
    secret: str


class Accepted(NamedTuple):
    """What was answered 202."""

    event_id: str
    tenant: str
    way: Way
    sent_at: float
    answered_at: float


class Sender:
    """Sends and keeps the book."""

    def __init__(self, sources: list[Source]) -> None:
        self.accepted: dict[str, Accepted] = {}
        """By serial."""
        self.refused: dict[int, int] = {}
        """How often which status; 0 stands for no answer."""
        self.lines: dict[tuple[str, int], list[str]] = {}
        """Serials of a line as they were accepted."""
        self.late = 0
        """Sent later than the rate wanted, for too many answers were owed."""
        self._signers = {source: Webhook(source.secret) for source in sources}
        self._turns: Iterator[Source] = cycle(sources)
        self._ways = {source.tenant: cycle(order_of(MIX)) for source in sources}
        self._sizes: Iterator[int] = cycle(SIZES)
        self._keys = {source.tenant: cycle(range(KEYS)) for source in sources}
        self._locks: dict[tuple[str, int], asyncio.Lock] = {}

    async def run(self, rate: float, seconds: float) -> None:
        """Send at a rate for some seconds; then wait for what is owed."""
        gate = asyncio.Semaphore(OUTSTANDING)
        connector = aiohttp.TCPConnector(limit=128)
        timeout = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            began, sent = monotonic(), 0
            while (passed := monotonic() - began) < seconds:
                for _ in range(int(passed * rate) - sent):
                    self.late += gate.locked()
                    await gate.acquire()
                    task = group.create_task(self._one(session, next(self._turns)))
                    task.add_done_callback(lambda _: gate.release())
                    sent += 1
                await asyncio.sleep(0.005)

    def draw(self, source: Source) -> tuple[Way, int | None]:
        """Return the way of the next event, and its key where order is kept.

        Ways and keys have turns of their own: taken with the tenants', each tenant met few of them.
        """
        way = next(self._ways[source.tenant])
        return way, next(self._keys[source.tenant]) if way == "ordered" else None

    async def _one(self, session: aiohttp.ClientSession, source: Source) -> None:
        way, key = self.draw(source)
        if key is None:
            await self._send(session, source, way, None)
            return
        line = source.tenant, key
        async with self._locks.setdefault(line, asyncio.Lock()):
            serial = await self._send(session, source, way, key)
            if serial is not None:
                self.lines.setdefault(line, []).append(serial)

    async def _send(
        self, session: aiohttp.ClientSession, source: Source, way: Way, key: int | None
    ) -> str | None:
        """Send one webhook until it is accepted, as providers do; return its serial."""
        serial, sent_at = new_serial(), monotonic()
        content = {
            "type": f"soak.{way}",
            "way": way,
            "serial": serial,
            "wanted": way != "unwanted",
            "filling": "x" * next(self._sizes),
        }
        if key is not None:
            content["key"] = f"key-{key}"
        body = msgspec.json.encode(content)
        for _ in range(60):
            headers = _signed(self._signers[source], serial, body)
            try:
                async with session.post(source.url, data=body, headers=headers) as answer:
                    text, status = await answer.read(), answer.status
            except AWAY:
                text, status = b"", 0
            if status == 202:
                event_id = msgspec.json.decode(text)["id"]
                self.accepted[serial] = Accepted(event_id, source.tenant, way, sent_at, monotonic())
                return serial
            self.refused[status] = self.refused.get(status, 0) + 1
            await asyncio.sleep(0.5)
        return None


def _signed(signer: Webhook, serial: str, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks."""
    now = time()
    signature = signer.sign(f"msg_{serial}", datetime.fromtimestamp(now, UTC), body.decode())
    return {
        "content-type": "application/json",
        "webhook-id": f"msg_{serial}",
        "webhook-timestamp": str(int(now)),
        "webhook-signature": signature,
    }
