"""What crosses the boundary of mail."""

import unicodedata
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

Kind = Literal[
    "signup",
    "invitation",
    "password-reset",
    "password-changed",
    "session-ended",
    "alert",
    "support",
    "note",
]

BREAKING: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of characters that end a line, or that no header may hold."""

ENCODED: Final = "=?"
"""How an encoded word of RFC 2047 begins. The standard library's `email` decodes those in a value
that is assigned to a header, and then writes the line breaks out that were encoded in them."""


class Mail(msgspec.Struct, frozen=True):
    """A letter to one person, as plain text.

    Raises:
        ValueError: the address or the subject could end its header and begin another.
    """

    to: str
    """An address alone, without a name."""
    subject: str
    text: str
    kind: Kind = "note"

    def __post_init__(self) -> None:
        """Refuse what could not be one line of a header."""
        local, _, domain = self.to.rpartition("@")
        if not local or not domain or any(c in '<>,;:" ' for c in self.to) or not is_line(self.to):
            raise ValueError("A mail goes to one address, and to nothing besides it.")
        if not is_line(self.subject):
            raise ValueError("A subject is one line, and means what it says.")


class Due(msgspec.Struct, frozen=True):
    """A mail that one sender has claimed, still sealed."""

    tenant_id: UUID
    id: UUID
    sealed: bytes
    attempts: int
    """This one included; it also tells one claim of the mail from the next."""
    created_at: datetime


def is_breaking(character: str) -> bool:
    """Tell whether a character ends a line or is none that prints."""
    return unicodedata.category(character) in BREAKING


def is_line(text: str) -> bool:
    """Tell whether text can stand in a header as it is, and stays there."""
    return ENCODED not in text and not any(map(is_breaking, text))
