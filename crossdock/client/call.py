"""One call of the API, described; and its course: the request, its tries, what they end in."""

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic, TypeGuard, TypeVar, cast
from urllib.parse import quote

import httpx
import msgspec
from msgspec import UNSET

from crossdock.client import retries
from crossdock.client.errors import ConnectionFailed, UnexpectedAnswer, refusal
from crossdock.client.retries import Retry
from crossdock.client.versioned import Versioned

T = TypeVar("T")

KEY_HEADER: Final = "Idempotency-Key"

_VISIBLE: Final = re.compile(r"[!-~]+")
_KEY: Final = re.compile(r"[!#-\[\]-~]{1,255}")
_SAFE: Final = frozenset({"GET", "HEAD"})
_IDEMPOTENT: Final = _SAFE | {"PUT", "DELETE"}
_REFUSED: Final = 400

Word = str | int | datetime
Query = Mapping[str, Word | Sequence[Word] | None]
"""Of several values, each is a parameter of its own."""


class Call(msgspec.Struct, Generic[T], frozen=True):
    """What to send, and what comes back."""

    method: str
    path: str
    answer: type[T]
    """`bytes` for the body as it is, `None`'s type for nothing."""
    query: Query = {}
    body: Mapping[str, Any] | None = None
    media_type: str = "application/json"
    if_match: str | None = None
    takes_key: bool = False
    key: str | None = None
    """The caller's idempotency key; one is made where the call takes it and none was given."""


def at(template: str, *ids: str) -> str:
    """Return a path with ids in the places of `{}`.

    Raises:
        ValueError: an id is empty or leads elsewhere, so that another path would be called.
    """
    for one in ids:
        if one in {"", ".", ".."}:
            raise ValueError(f"{one!r} is no id.")
    return template.format(*(quote(one, safe="") for one in ids))


def members(**given: Any) -> dict[str, Any]:
    """Return the members of a body that were given."""
    return {name: value for name, value in given.items() if value is not UNSET}


class Course(Generic[T]):
    """One call on its way, however it is sent: what to send, and what to do about what came."""

    def __init__(self, call: Call[T], retry: Retry) -> None:
        self._call = call
        self._retry = retry
        self._done = 0
        # Made once, so that each try carries it and the effect comes once.
        self._key = _key(call.key) if call.takes_key else None

    def request(self, http: httpx.Client | httpx.AsyncClient, token: str | None) -> httpx.Request:
        """Return the request; each try sends the same."""
        call = self._call
        headers = {"Accept": "application/json, application/problem+json, */*;q=0.1"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if call.if_match is not None:
            headers["If-Match"] = call.if_match
        if self._key is not None:
            headers[KEY_HEADER] = f'"{self._key}"'
        content = None
        if call.body is not None:
            headers["Content-Type"] = call.media_type
            content = msgspec.json.encode(call.body)
        return http.build_request(
            call.method,
            call.path,
            params=texts(call.query) or None,
            headers=headers,
            content=content,
        )

    def lost(self, error: httpx.RequestError) -> float:
        """Return how long to wait before the next try, in seconds, after one without an answer.

        Raises:
            ConnectionFailed: that was the last one.
        """
        self._done += 1
        is_worth_it = retries.never_left(error) or (self._is_repeatable and retries.passing(error))
        wait = self._retry.wait_s(self._done, None) if is_worth_it else None
        if wait is None:
            words = str(error) or type(error).__name__
            count = f" ({self._done} tries)" if self._done > 1 else ""
            raise ConnectionFailed(
                f"{self._call.method} {self._call.path}: {words}{count}"
            ) from error
        return wait

    def refused(self, response: httpx.Response) -> float:
        """Return how long to wait before the next try, in seconds, after a refusal.

        Raises:
            ProblemError: it will not pass, or that was the last try.
            UnexpectedAnswer: it is no refusal either.
        """
        self._done += 1
        if response.status_code < _REFUSED:
            raise UnexpectedAnswer(f"{self._call.path} answered {response.status_code}.")
        asked = retries.retry_after_s(response)
        wait = None
        if self._is_repeatable and retries.will_pass(response):
            wait = self._retry.wait_s(self._done, asked)
        if wait is None:
            raise refusal(response, asked)
        return wait

    def result(self, response: httpx.Response) -> T:
        """Return what a 2xx says.

        Raises:
            UnexpectedAnswer: it is not what this call answers with.
        """
        kind: Any = self._call.answer
        if kind is type(None):
            return cast("T", None)
        if kind is bytes:
            return cast("T", response.content)
        try:
            found = msgspec.json.decode(response.content, type=kind)
        except msgspec.MsgspecError as error:
            raise UnexpectedAnswer(f"{self._call.path}: {error}") from error
        etag = response.headers.get("etag")
        if etag is not None and isinstance(found, Versioned):
            found = msgspec.structs.replace(found, etag=etag)
        return cast("T", found)

    @property
    def _is_repeatable(self) -> bool:
        """Whether sending it twice has the effect of sending it once."""
        return self._key is not None or self._call.method in _IDEMPOTENT


def checked_token(token: str | None) -> str | None:
    """Return a token that can be sent.

    Raises:
        ValueError: no token has such characters; often it is the end of the line that it was read
            from. The error does not repeat it, for errors are logged.
    """
    if token is not None and not _VISIBLE.fullmatch(token):
        raise ValueError("The token is empty, or has characters that no token has.")
    return token


def _key(given: str | None) -> str:
    """Return the key of a request: the caller's, or a new one.

    Raises:
        ValueError: it is no key.
    """
    if given is None:
        return secrets.token_hex(16)
    if not _KEY.fullmatch(given):
        raise ValueError("A key has 1 to 255 visible ASCII characters, without quotes or `\\`.")
    return given


def texts(query: Query) -> dict[str, str | list[str]]:
    """Return the parameters of a query that were given, as text."""
    return {
        name: [_text(one) for one in value] if _is_several(value) else _text(value)
        for name, value in query.items()
        if value is not None
    }


def _is_several(value: Word | Sequence[Word]) -> TypeGuard[Sequence[Word]]:
    return not isinstance(value, str | int | datetime)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
