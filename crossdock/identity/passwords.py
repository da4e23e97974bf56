"""Which passwords are good enough: long, not obvious, and not known to thieves already.

NIST SP 800-63B-4 §3.1.1.2: length and a list of known ones; no rules on kinds of characters, no
forced changes. Every character counts as one, and every way to type it is the same (NFC).
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from crossdock.errors import ConfigurationError, Invalid, Violation

MIN_CHARACTERS: Final = 12
MAX_CHARACTERS: Final = 256
PRODUCT: Final = "crossdock"

_TELLING: Final = 4
"""A name has to be so long to tell anything, and what is added to it longer to hide anything."""

_LONGEST_LINE: Final = 128
_SUM: Final = re.compile(rb"[0-9A-Fa-f]{40}")


def normalise(password: str) -> str:
    """Return the one way to write a password, whichever keyboard it was typed on."""
    return unicodedata.normalize("NFC", password)


class BreachedPasswords:
    """A file of SHA-1 sums of passwords that were found in the open, sorted, one a line.

    Each line is 40 hex digits and perhaps `:` and a count, as Have I Been Pwned publishes them. It
    is searched where it lies, in some 30 short reads, whatever its size.
    """

    def __init__(self, path: Path) -> None:
        """Look whether the file is one.

        Raises:
            ConfigurationError: it can't be read, or holds something else.
        """
        self._path = path
        try:
            with path.open("rb") as file:
                begin = file.read(_LONGEST_LINE)
        except OSError as error:
            raise ConfigurationError(f"{path} can't be read: {error.strerror}.") from error
        if begin and _SUM.match(begin) is None:
            raise ConfigurationError(f"{path} is not a sorted list of SHA-1 sums in hex.")

    def __contains__(self, password: object) -> bool:
        if not isinstance(password, str):
            return False
        text = password.encode("utf-8", "surrogatepass")
        wanted = hashlib.sha1(text, usedforsecurity=False).hexdigest().upper().encode()
        with self._path.open("rb") as file:
            low, high = 0, os.fstat(file.fileno()).st_size
            while low < high:  # the line we want begins in this range, if anywhere
                middle = (low + high) // 2
                start = _line_start(file.fileno(), low, middle)
                line = os.pread(file.fileno(), _LONGEST_LINE, start).split(b"\n", 1)[0]
                found = line[: len(wanted)].upper()
                if found == wanted:
                    return True
                if found < wanted:
                    low = start + len(line) + 1
                else:
                    high = start
        return False


class PasswordPolicy:
    """Says whether somebody may have a password."""

    def __init__(self, breached: Path | None = None) -> None:
        """Use a list of breached passwords, if there is one.

        Raises:
            ConfigurationError: it can't be read, or is something else.
        """
        self._breached = None if breached is None else BreachedPasswords(breached)

    def check(
        self, password: str, *, email: str, names: Iterable[str] = (), pointer: str = "/password"
    ) -> str:
        """Return the password as it is to be hashed.

        Args:
            password: what was typed.
            email: its owner's address.
            names: what else would be the first guess, such as the tenant's name and slug.
            pointer: where in the request it is.

        Raises:
            Invalid: it may not be used; says why and how to mend it.
        """
        text = normalise(password)
        reason = _too_short_or_long(text) or _obvious(text, email, names)
        if reason is None and self._breached is not None and text in self._breached:
            reason = "This password is on a list of stolen ones; choose another."
        if reason is not None:
            raise Invalid(None, Violation(pointer, reason))
        return text


def _too_short_or_long(text: str) -> str | None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "This password is not text."
    if len(text) < MIN_CHARACTERS:
        return (
            f"A password has at least {MIN_CHARACTERS} characters; several words make a good one."
        )
    if len(text) > MAX_CHARACTERS:
        return f"A password has at most {MAX_CHARACTERS} characters."
    return None


def _obvious(text: str, email: str, names: Iterable[str]) -> str | None:
    """Say so if a password is a name that others know, once or more, and little else."""
    local, _, domain = email.partition("@")
    for name in (email, local, domain, domain.partition(".")[0], *names, PRODUCT):
        plain = _plain(name)
        if len(plain) < _TELLING:
            continue
        rest = _plain(text).replace(plain, "")
        if rest != _plain(text) and len(rest) <= _TELLING:
            return "This password is little more than a name that others know; choose another."
    return None


def _plain(text: str) -> str:
    """Return text without case, blanks and punctuation, as one who guesses would see it."""
    return "".join(c for c in normalise(text).casefold() if c.isalnum())


def _line_start(descriptor: int, low: int, position: int) -> int:
    """Return where the line at a position begins; `low` is the beginning of a line."""
    start = max(low, position - _LONGEST_LINE)
    before = os.pread(descriptor, position - start, start)
    newline = before.rfind(b"\n")
    return low if newline < 0 else start + newline + 1
