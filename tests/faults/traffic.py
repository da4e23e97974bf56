"""Webhooks that keep coming while things are killed, and a book of what was answered."""

import asyncio
import contextlib
from time import monotonic
from typing import Final, NamedTuple, Self

import aiohttp
import msgspec

from crossdock.samples.composing import Webhook
from crossdock.samples.sender import Composer, new_serial
from tests.faults.waiting import AWAY, until

NO_ANSWER: Final = 0
ACCEPTED: Final = 202
RETRY_S: Final = 0.25
PATIENCE_S: Final = 25.0
"""How long a provider that retries goes on."""


class Answer(NamedTuple):
    """What became of one request."""

    serial: str
    sent_at: float
    answered_at: float
    status: int
    """0 without an answer."""
    event_id: str
    error: str
    """What broke, or the name of the problem that was answered."""


class Book:
    """All answers; what was accepted is known outside the system by this alone."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.accepted: dict[str, str] = {}
        """Event id -> serial."""

    def write(self, answer: Answer) -> None:
        """Write one down."""
        self.answers.append(answer)
        if answer.status == ACCEPTED:
            assert answer.event_id, "A 202 names its event."
            self.accepted[answer.event_id] = answer.serial

    def statuses(self) -> set[int]:
        """Return which statuses there were; 0 stands for no answer."""
        return {answer.status for answer in self.answers}

    def between(self, start: float, end: float) -> list[Answer]:
        """Return the answers to what was sent after one moment and answered before another."""
        return [
            answer for answer in self.answers if answer.sent_at > start and answer.answered_at < end
        ]


class Traffic:
    """Signed webhooks at a bounded rate over some connections, for as long as its block lasts.

    With `retrying` each is sent again until it is accepted, as providers do.
    """

    def __init__(
        self,
        book: Book,
        composer: Composer,
        *,
        rate: float = 150.0,
        connections: int = 16,
        retrying: bool = False,
    ) -> None:
        self.book = book
        self._composer = composer
        self._rate = rate
        self._connections = connections
        self._retrying = retrying
        self._ending = asyncio.Event()
        self._turn = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            timeout=aiohttp.ClientTimeout(total=15),
        )
        self._turn = monotonic()
        self._tasks = [
            asyncio.create_task(self._pump(self._session)) for _ in range(self._connections)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending.set()
        try:
            await asyncio.gather(*self._tasks)
        finally:
            assert self._session is not None
            await self._session.close()

    async def more(self, count: int, *, within: float = 30.0) -> None:
        """Wait until so many more were accepted."""
        goal = len(self.book.accepted) + count
        await until(
            lambda: len(self.book.accepted) >= goal,
            lambda: f"{count} more accepted webhooks; the last answers: {self.book.answers[-5:]}",
            within=within,
        )

    async def _pump(self, session: aiohttp.ClientSession) -> None:
        while await self._my_turn():
            serial = new_serial()
            webhook = self._composer.compose(serial)
            answer = await self._send(session, serial, webhook)
            patience = monotonic() + PATIENCE_S
            while self._retrying and answer.status != ACCEPTED and monotonic() < patience:
                await asyncio.sleep(RETRY_S)
                answer = await self._send(session, serial, webhook)

    async def _send(self, session: aiohttp.ClientSession, serial: str, webhook: Webhook) -> Answer:
        sent_at, status, event_id, error = monotonic(), NO_ANSWER, "", ""
        try:
            async with session.post(webhook.url, data=webhook.body, headers=webhook.headers) as got:
                text = await got.read()
                status = got.status
            if status == ACCEPTED:
                event_id = msgspec.json.decode(text)["id"]
            else:
                error = _problem(text)
        except AWAY as failure:
            status, error = NO_ANSWER, repr(failure)
        answer = Answer(serial, sent_at, monotonic(), status, event_id, error)
        self.book.write(answer)
        return answer

    async def _my_turn(self) -> bool:
        """Wait for the next beat; false once the traffic ends."""
        self._turn = max(self._turn + 1 / self._rate, monotonic() - 1 / self._rate)
        await self._pause(self._turn - monotonic())
        return not self._ending.is_set()

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), seconds)


def _problem(text: bytes) -> str:
    """Return the name of a problem's type."""
    with contextlib.suppress(msgspec.DecodeError):
        found = msgspec.json.decode(text)
        if isinstance(found, dict):
            return str(found.get("type", "")).rpartition("/")[2]
    return ""
