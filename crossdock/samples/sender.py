"""Signs and sends sample webhooks, or spoils them on purpose in the ways that must be refused."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final, Literal, get_args

import aiohttp
import msgspec

from crossdock import ids, native
from crossdock.errors import ConfigurationError, Conflict
from crossdock.presets import CATALOGUE, Written
from crossdock.samples.composing import Signer, Webhook, signed, signer_of

Corruption = Literal["signature", "timestamp", "body", "secret", "missing"]
CORRUPTIONS: Final[tuple[Corruption, ...]] = get_args(Corruption)
ACCEPTED: Final = 202
UNSIGNED: Final = "none"
STALE_S: Final = 3600.0
"""How far back `timestamp` puts the sender's clock: beyond every scheme's tolerance."""


class Answer(msgspec.Struct, frozen=True):
    """What the gateway said."""

    status: int
    reason: str
    """The problem's type for a refusal, `accepted` for a 202, `no answer` without one."""
    event_id: str | None
    seconds: float


class _Body(msgspec.Struct):
    id: str | None = None
    type: str = ""


class Composer:
    """Makes signed webhooks for one source."""

    def __init__(self, scheme: str, url: str, secret: str, *, sample: str | None = None) -> None:
        """Say for which.

        Args:
            scheme: The source's; or another preset of the catalogue.
            url: Its ingest URL.
            secret: The one it verifies by; empty where it has none.
            sample: Which of the preset's samples to send, by its name; the first unless given.

        Raises:
            ConfigurationError: the catalogue has no such preset or sample, or the secret is none.
        """
        self._url = url
        preset = CATALOGUE.get(scheme)
        found = None if preset is None else preset.sample(sample)
        if preset is None or found is None:
            raise ConfigurationError(f"The catalogue has no sample {sample!r} of {scheme!r}.")
        self._preset, self._sample = preset, found
        self._signer = self._prepare([secret] if secret else [])

    def compose(self, serial: str, *, corrupt: Corruption | None = None) -> Webhook:
        """Return a webhook that no other serial gives, spoilt in one way if asked."""
        clock = time.time() - (STALE_S if corrupt == "timestamp" else 0.0)
        payload = self._sample.write(serial, clock)
        signer = self._wrong_signer() if corrupt in {"secret", "signature"} else self._signer
        made = signed(signer, payload, self._url, now=clock, message_id=f"msg_{serial}")
        if corrupt == "missing":
            headers = {"content-type": payload.content_type, **dict(payload.headers)}
            return Webhook(self._url, headers, payload.body)
        if corrupt == "body":
            return msgspec.structs.replace(made, body=_spoil(payload))
        return made

    def _wrong_signer(self) -> Signer:
        return self._prepare([native.generate_secret(self._preset.scheme)])

    def _prepare(self, secrets: list[str]) -> Signer:
        recipe = msgspec.structs.replace(self._preset.recipe, public_url=self._url)
        try:
            return signer_of(self._preset.scheme, recipe, secrets)
        except Conflict as error:
            raise ConfigurationError(str(error)) from error


async def send(session: aiohttp.ClientSession, webhook: Webhook) -> Answer:
    """Send one webhook; a broken connection is an answer of status 0."""
    started = time.perf_counter()
    try:
        async with session.post(webhook.url, data=webhook.body, headers=webhook.headers) as reply:
            text = await reply.read()
            status = reply.status
    except (aiohttp.ClientError, TimeoutError):
        return Answer(0, "no answer", None, time.perf_counter() - started)
    said = _read(text)
    reason = "accepted" if status == ACCEPTED else _name(said.type) or str(status)
    return Answer(status, reason, said.id, time.perf_counter() - started)


class Flow:
    """Sends a stream of webhooks over some connections, at a rate if one is given.

    `rate` is webhooks a second; it is kept against the clock, so that a slow answer is caught up.
    """

    def __init__(
        self, webhooks: Iterable[Webhook], *, connections: int, rate: float | None = None
    ) -> None:
        self._webhooks = iter(webhooks)
        self._connections = connections
        self._rate = rate
        self._sent = 0
        self._started = 0.0

    async def run(self, told: Callable[[Webhook, Answer], None]) -> None:
        """Send them all; `told` hears of each answer."""
        self._started = time.perf_counter()
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                timeout=aiohttp.ClientTimeout(total=30),
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(self._connections):
                group.create_task(self._pump(session, told))

    async def _pump(
        self, session: aiohttp.ClientSession, told: Callable[[Webhook, Answer], None]
    ) -> None:
        for webhook in self._webhooks:
            await self._pace()
            told(webhook, await send(session, webhook))

    async def _pace(self) -> None:
        due = self._started + self._sent / self._rate if self._rate else 0.0
        self._sent += 1
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


def new_serial() -> str:
    """Return a text that no other sample has."""
    return ids.new().hex


def _spoil(payload: Written) -> bytes:
    """Change one byte somewhere harmless, so that only the signature can tell."""
    middle = len(payload.body) // 2
    return payload.body[:middle] + bytes([payload.body[middle] ^ 1]) + payload.body[middle + 1 :]


def _name(problem_type: str) -> str:
    """Return a problem type's name; of one registered elsewhere it is the fragment."""
    return problem_type.replace("#", "/").rpartition("/")[2]


def _read(text: bytes) -> _Body:
    try:
        return msgspec.json.decode(text, type=_Body)
    except msgspec.DecodeError:
        return _Body()
