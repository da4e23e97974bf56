"""Ids: UUIDv7 inside, TypeID text on the wire (`evt_01h455vb4pex5vsknk084sn02q`).

The prefix says what an id names, so that a log line or a support mail is never ambiguous, and an id
of the wrong kind is refused before any look-up. The time inside is what partitions are cut by.
"""

import time
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

from crossdock import native
from crossdock.errors import NotAnId

Kind = Literal[
    "alt",
    "att",
    "aud",
    "con",
    "dlv",
    "dst",
    "ety",
    "evt",
    "inv",
    "job",
    "key",
    "mal",
    "msg",
    "rol",
    "rpl",
    "ses",
    "src",
    "sup",
    "syn",
    "ten",
    "usr",
]

EPOCH_MS_SHIFT: Final = 80
"""A UUIDv7 keeps its unix milliseconds above this bit."""


def new(now: float | None = None) -> UUID:
    """Return a fresh UUIDv7, growing within this process; `now` is unix seconds."""
    seconds = time.time() if now is None else now
    return UUID(bytes=native.uuid7(int(seconds * 1000)))


def encode(kind: Kind, value: UUID) -> str:
    """Return the wire form of an id."""
    return native.typeid(kind, value.bytes)


def decode(kind: Kind, text: str) -> UUID:
    """Return the id behind its wire form.

    Raises:
        NotAnId: the text is not an id of that kind, so nothing of that kind can have it.
    """
    try:
        return UUID(bytes=native.typeid_parse(kind, text))
    except ValueError as error:
        raise NotAnId(kind, text) from error


def time_of(value: UUID) -> datetime:
    """Return the moment an id was made, to the millisecond."""
    return datetime.fromtimestamp((value.int >> EPOCH_MS_SHIFT) / 1000, UTC)


def floor(moment: datetime) -> UUID:
    """Return the smallest UUIDv7 of a moment: the lower bound of a range by time.

    Of a moment before 1970 it is the smallest of all: nothing was made then.
    """
    millis = max(0, int(moment.timestamp() * 1000))
    return UUID(int=(millis << EPOCH_MS_SHIFT))
