"""What goes into a transformation, and what comes of it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, Self
from uuid import UUID

import msgspec

from crossdock import ids

FailureKind = Literal["threw", "invalid", "too_large", "timeout", "memory", "unavailable"]
"""`threw`: the script did; `invalid`: what it returned can't be sent; `too_large`: over the limit;
`timeout` and `memory`: it took more than it may; `unavailable`: it was not run to its end."""

FINAL: Final[frozenset[FailureKind]] = frozenset({"threw", "invalid", "too_large"})
"""What a script will come to again, whenever it is run over that event."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a script gets."""

    id: str
    type: str
    source_id: str
    received_at: datetime
    content_type: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    """Of it `payload` is made."""

    @classmethod
    def of(
        cls,
        *,
        event_id: UUID,
        source_id: UUID,
        event_type: str,
        content_type: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
    ) -> Self:
        """Return an event as a script sees it: of headers that repeat, the first."""
        first: dict[str, str] = {}
        for name, value in headers:
            first.setdefault(name.lower(), value)
        return cls(
            id=ids.encode("evt", event_id),
            type=event_type,
            source_id=ids.encode("src", source_id),
            received_at=ids.time_of(event_id),
            content_type=content_type,
            headers=first,
            body=body,
        )


class Changed(msgspec.Struct, frozen=True):
    """What is sent instead."""

    body: bytes
    content_type: str
    headers: dict[str, str]
    """Beside the destination's own; checked."""


class Dropped(msgspec.Struct, frozen=True):
    """Nothing is sent."""


class TransformFailed(Exception):
    """There is nothing to send, and a reason."""

    def __init__(
        self, kind: FailureKind, message: str, line: int | None = None, column: int | None = None
    ) -> None:
        """Say why.

        Args:
            kind: which way.
            message: in words for the script's author; at most some 500 characters.
            line: where in the script, from 1.
            column: as well.
        """
        super().__init__(message)
        self.kind: FailureKind = kind
        self.message = message
        self.line = line
        self.column = column

    def __str__(self) -> str:
        """Return the message and where."""
        return self.message if self.line is None else f"{self.message} (line {self.line})"

    @property
    def is_final(self) -> bool:
        """Whether another run would come to the same."""
        return self.kind in FINAL
