"""Webhooks of many keys, each key's one after another: what order means is known outside."""

import asyncio
from datetime import UTC, datetime
from itertools import cycle
from typing import Final, Self

import aiohttp
import msgspec
from standardwebhooks import Webhook as Signer

from crossdock.samples.sender import new_serial
from tests.faults.traffic import ACCEPTED
from tests.faults.waiting import AWAY, until

RETRY_S: Final = 0.1


class Lines:
    """Sends when told; each key sends its next webhook when the last was accepted."""

    def __init__(self, url: str, secret: str, keys: int, *, pause_s: float) -> None:
        self.accepted: dict[str, str] = {}
        """Event id -> serial."""
        self.lines: list[list[str]] = [[] for _ in range(keys)]
        """Serials by key, in the order in which they were accepted."""
        self.refused = 0
        self._url = url
        self._signer = Signer(secret)
        self._pause_s = pause_s
        self._is_ending = False
        self._goal = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        self._tasks = [asyncio.create_task(self._send(key)) for key in range(len(self.lines))]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_ending = True
        try:
            await asyncio.gather(*self._tasks)
        finally:
            await self._session.close()

    async def more(self, count: int) -> None:
        """Send until so many more are accepted; between two of these nothing is sent."""
        self._goal = goal = len(self.accepted) + count
        await until(lambda: len(self.accepted) >= goal, f"{count} more in lines", within=45)

    async def _send(self, key: int) -> None:
        for number in cycle(range(1_000_000)):
            while len(self.accepted) >= self._goal:
                if self._is_ending:
                    return
                await asyncio.sleep(self._pause_s)
            serial = new_serial()
            body = msgspec.json.encode({"key": key, "number": number, "serial": serial})
            while not await self._one(serial, key, body):
                self.refused += 1
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(self._pause_s)

    async def _one(self, serial: str, key: int, body: bytes) -> bool:
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": f"msg_{serial}",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(f"msg_{serial}", now, body.decode()),
        }
        try:
            async with self._session.post(self._url, data=body, headers=headers) as answer:
                text = await answer.read()
                if answer.status != ACCEPTED:
                    return False
        except AWAY:
            return False
        self.accepted[msgspec.json.decode(text)["id"]] = serial
        self.lines[key].append(serial)
        return True
