"""Tokens of OAuth 2.0 by a client's credentials (RFC 6749, 4.4), kept until they end.

One for each destination as it is in its version. Of all who need a new one only one asks; it asks a
little early, so that nobody waits, and once more when a token is not taken before its time. A
server that gives none is left alone for some seconds. No error says what was sent or answered.
"""

import asyncio
import math
from base64 import b64encode
from collections import OrderedDict
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote_plus, urlencode
from uuid import UUID

import msgspec
from yarl import URL

from crossdock.delivery.client import USER_AGENT, Client
from crossdock.delivery.destinations.credentials import ClientCredentials
from crossdock.delivery.exchange import CallFailed

CAPACITY: Final = 5_000
LONGEST_S: Final = 86_400.0
DEFAULT_S: Final = 300.0
"""Of a token whose server does not say."""
LEAST_S: Final = 1.0
EARLY_S: Final = 30.0
EARLY_PART: Final = 0.1
"""How long before its end a token is renewed: the smaller of a part of its life and of so much."""
REST_S: Final = 5.0
"""For how long a server that gave none is not asked, and no second token is asked for because one
was not taken."""
CALL_S: Final = 10.0
_LONGEST_TOKEN: Final = 8 * 1024
_PAST: Final = -math.inf

Key = tuple[UUID, UUID]


class _Answer(msgspec.Struct):
    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the name of a type
    expires_in: Any = None

    def __repr__(self) -> str:
        return "_Answer(***)"


class _NoToken(Exception):
    """Why there is none."""


class _Entry:
    """What is known of one destination's token."""

    __slots__ = ("ends", "failed", "forced", "rests_until", "task", "token", "version", "wanes")

    def __init__(self, version: int) -> None:
        self.version = version
        self.token: str | None = None
        self.wanes = _PAST
        """When it is to be renewed."""
        self.ends = _PAST
        self.task: asyncio.Task[str] | None = None
        self.failed: str | None = None
        """What was wrong the last time."""
        self.rests_until = _PAST
        self.forced = _PAST
        """When the last one was asked for because one was not taken."""


class Tokens:
    """The tokens that this process holds."""

    def __init__(self, client: Client, capacity: int = CAPACITY) -> None:
        self._client = client
        self._capacity = capacity
        self._now = asyncio.get_running_loop().time
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: Key, version: int, auth: ClientCredentials) -> str:
        """Return a token that should be taken.

        Raises:
            CallFailed: of the kind `credentials`, there is none to be had.
        """
        entry = self._entry(key, version)
        now = self._now()
        if entry.token is not None and now < entry.ends:
            if now >= entry.wanes and entry.task is None and now >= entry.rests_until:
                self._ask(entry, auth)  # and go on with the one that is still good
            return entry.token
        if entry.task is None and entry.failed is not None and now < entry.rests_until:
            raise CallFailed("credentials", entry.failed)
        # Shielded: whoever gives up leaves the others waiting for the same answer.
        return await asyncio.shield(entry.task or self._ask(entry, auth))

    async def renewed(
        self, key: Key, version: int, auth: ClientCredentials, refused: str
    ) -> str | None:
        """Return another token in the place of one that was not taken; `None` if none is due.

        Raises:
            CallFailed: of the kind `credentials`, there is none to be had.
        """
        entry = self._entry(key, version)
        if entry.token is not None and entry.token != refused:
            return entry.token
        if entry.task is not None:
            return await asyncio.shield(entry.task)
        if self._now() - entry.forced < REST_S:
            return None
        entry.forced = self._now()
        entry.token = None
        return await asyncio.shield(self._ask(entry, auth))

    def _entry(self, key: Key, version: int) -> _Entry:
        found = self._entries.get(key)
        if found is None or found.version != version:
            found = self._entries[key] = _Entry(version)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        self._entries.move_to_end(key)
        return found

    def _ask(self, entry: _Entry, auth: ClientCredentials) -> "asyncio.Task[str]":
        task = entry.task = asyncio.create_task(self._renew(entry, auth), name="token")
        task.add_done_callback(_seen)
        return task

    async def _renew(self, entry: _Entry, auth: ClientCredentials) -> str:
        try:
            answer = await self._fetch(auth)
        except _NoToken as error:
            entry.failed = str(error)
            entry.rests_until = self._now() + REST_S
            raise CallFailed("credentials", entry.failed) from None
        else:
            now, life = self._now(), life_s(answer.expires_in)
            entry.token, entry.failed = answer.access_token, None
            entry.ends = now + life
            entry.wanes = entry.ends - min(EARLY_S, EARLY_PART * life)
            return answer.access_token
        finally:
            entry.task = None

    async def _fetch(self, auth: ClientCredentials) -> _Answer:
        try:
            answer = await self._client.post(
                URL(auth.token_url), _headers(auth), _form(auth), CALL_S
            )
        except CallFailed as failure:
            raise _NoToken(f"no answer of the token's server: {failure}") from None
        if answer.status != HTTPStatus.OK:
            raise _NoToken(f"the token's server answered {answer.status}")
        try:
            found = _decoder.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _NoToken("what the token's server answered is no token") from None
        if not is_token(found.access_token) or found.token_type.lower() != "bearer":
            raise _NoToken("the token is not one that a header can carry")
        return found


def is_token(text: str) -> bool:
    """Tell whether a token can stand in a header: visible ASCII, and not without end."""
    return (
        0 < len(text) <= _LONGEST_TOKEN
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )


def life_s(given: Any) -> float:
    """Return the seconds for which a token is taken to be good, whatever its server says.

    Some leave it out, and some send text; what is no number counts as left out. Never less than a
    second, or each call would ask; never more than a day.
    """
    try:
        seconds = float(given)
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_S
    if math.isnan(seconds):
        return DEFAULT_S
    return min(max(seconds, LEAST_S), LONGEST_S)


def _headers(auth: ClientCredentials) -> dict[str, str]:
    headers = {
        "accept": "application/json",
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": USER_AGENT,
    }
    if auth.style == "basic":
        # RFC 6749, 2.3.1: both are form-encoded first.
        pair = f"{quote_plus(auth.client_id)}:{quote_plus(auth.client_secret)}"
        headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return headers


def _form(auth: ClientCredentials) -> bytes:
    fields = {"grant_type": "client_credentials", "scope": auth.scope, "audience": auth.audience}
    if auth.style == "body":
        fields |= {"client_id": auth.client_id, "client_secret": auth.client_secret}
    return urlencode({name: value for name, value in fields.items() if value is not None}).encode()


def _seen(task: "asyncio.Task[str]") -> None:
    """Look at what came of a task that perhaps nobody waits for."""
    if not task.cancelled():
        task.exception()


_decoder: Final = msgspec.json.Decoder(_Answer)
