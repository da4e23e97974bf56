"""One virtual user: calls operations by their ids, and counts answers that were not expected."""

import random
import re
import secrets
import time
from collections.abc import Collection
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
from locust.contrib.fasthttp import FastHttpUser

from bench.api.model import Plan

LETTER_S: Final = 20.0
_PLACE: Final = re.compile(r"\{\w+\}")
_TOKEN: Final = re.compile(r"^ {4}([A-Za-z0-9_-]{40,})\r?$", re.MULTILINE)


class Unexpected(Exception):
    """An answer that ends a flow: it is counted where it came, and the next flow begins."""


class Caller(FastHttpUser):
    """Somebody who calls the API, from an address of their own."""

    abstract = True
    plan: Plan

    def call(
        self,
        operation: str,
        *ids: str,
        body: Any = None,
        token: str | None = None,
        query: str = "",
        expected: Collection[int] = (),
        address: str | None = None,
    ) -> Any:
        """Return what an operation answers, decoded where it is JSON.

        Args:
            operation: its id in the document.
            *ids: for the places in its path.
            body: what to send as JSON.
            token: as whom; nobody unless given.
            query: with its question mark.
            expected: statuses that are no error beside those of success.
            address: where the call comes from; this user's own unless given.

        Raises:
            Unexpected: it answered otherwise.
        """
        method, template = self.plan.operations[operation]
        places = iter(ids)
        path = _PLACE.sub(lambda _: quote(next(places), safe=""), template) + query
        headers = {"X-Forwarded-For": address or self.address}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if operation in self.plan.takes_key:
            headers["Idempotency-Key"] = f'"{secrets.token_hex(16)}"'
        content = None
        if body is not None:
            is_patch = operation in self.plan.patches
            headers["Content-Type"] = f"application/{'merge-patch+' if is_patch else ''}json"
            content = msgspec.json.encode(body).decode()
        return self.send(
            operation, method, path, headers=headers, content=content, expected=expected
        )

    def send(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        content: str | None = None,
        expected: Collection[int] = (),
    ) -> Any:
        """Send a request as it is; return its answer, decoded where it is JSON.

        Raises:
            Unexpected: the answer is neither a success nor expected.
        """
        with self.client.request(
            method, path, name=operation, headers=headers, data=content, catch_response=True
        ) as response:
            status = response.status_code
            if 200 <= status < 300 or status in expected:
                response.success()
            else:
                text = (response.content or b"")[:200].decode(errors="replace")
                response.failure(f"{status} {text}")
                raise Unexpected
            if status >= 300 or "json" not in (response.headers.get("content-type") or ""):
                return response.content
            return msgspec.json.decode(response.content)

    def letter(self, address: str, *, after: int = 0) -> tuple[str, int]:
        """Return the token of a letter to somebody, and how many they have had.

        Raises:
            Unexpected: it did not come in time.
        """
        deadline = time.monotonic() + LETTER_S
        while time.monotonic() < deadline:
            tokens = [token for path in self._letters(address) if (token := _token(path))]
            if len(tokens) > after:
                return tokens[-1], len(tokens)
            time.sleep(0.2)  # noqa: TID251 - gevent's
        raise Unexpected

    def _letters(self, address: str) -> list[Path]:
        wanted = f"to: {address}".encode()
        letters = sorted(Path(self.plan.mail).glob("*.eml"))
        return [path for path in letters if wanted in path.read_bytes().lower()]

    def on_start(self) -> None:
        """Move in somewhere."""
        self.address = somewhere()


def _token(path: Path) -> str | None:
    message = message_from_bytes(path.read_bytes(), policy=default)
    found = _TOKEN.search(message.get_content())
    return None if found is None else found[1]


def somewhere() -> str:
    """Return an address that nobody else has."""
    return f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(1, 255)}"  # noqa: S311


def fresh(prefix: str = "n") -> str:
    """Return a name that nobody has."""
    return f"{prefix}-{secrets.token_hex(8)}"
