"""Letters as files: how they leave where no mail server is set, and how they are read there.

A letter is one `.eml` file, named by its id, so that names sort by time and a letter written twice
is still one. Nobody but the owner can read it: it may hold a token.
"""

import asyncio
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from crossdock.mail.message import ID_HEADER, KIND_HEADER
from crossdock.mail.transport import Unsent

SUFFIX: Final = ".eml"

_parser: Final = BytesParser(policy=policy.default)


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A letter as it lies in the folder."""

    id: str
    """`mal_…`."""
    kind: str
    sender: str
    to: str
    subject: str
    date: datetime
    text: str


class MailFolder:
    """A folder of letters."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def send(self, message: EmailMessage) -> None:
        """Write a letter whole or not at all.

        Raises:
            Unsent: the folder can't be written to.
        """
        try:
            await asyncio.to_thread(self._write, f"{message[ID_HEADER]}{SUFFIX}", bytes(message))
        except OSError as error:
            raise Unsent(f"The folder of mail {self.path}: {error.strerror}.") from error

    def letters(self) -> list[Letter]:
        """Return all letters, oldest first."""
        return list(self._read())

    def _write(self, name: str, content: bytes) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Of its own: a write that was given up may still be under way when the next one begins.
        draft = self.path / f".{name}.{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, no path
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path / name)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def _read(self) -> Iterator[Letter]:
        for path in sorted(self.path.glob(f"mal_*{SUFFIX}")):
            try:
                yield _letter(_parser.parsebytes(path.read_bytes()))
            except FileNotFoundError:
                continue  # somebody tidies up while we read


def _letter(message: Any) -> Letter:
    return Letter(
        id=_header(message, ID_HEADER),
        kind=_header(message, KIND_HEADER),
        sender=_header(message, "From"),
        to=_header(message, "To"),
        subject=_header(message, "Subject"),
        date=parsedate_to_datetime(_header(message, "Date")),
        text=message.get_content().replace("\r\n", "\n"),
    )


def _header(message: Any, name: str) -> str:
    """Return a header; the parser leaves the bytes of a message of SMTPUTF8 as surrogates."""
    return str(message[name]).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
