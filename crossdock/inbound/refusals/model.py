"""What is kept of a webhook that was refused."""

from datetime import date
from uuid import UUID

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """One refused webhook, without its body."""

    id: UUID
    """Its time is in it."""
    reason: str
    """The problem's type, such as `signature-invalid`."""
    detail: str
    """What the sender was told."""
    method: str
    address: str
    """Where it came from."""
    headers: list[tuple[str, str]]
    """All names; of most values only `***`."""
    size: int
    """Bytes of the body: as far as it was read, or else as announced."""
    body_sha256: bytes | None
    """Of the whole body; `None` where it was not read."""


class RefusalCount(msgspec.Struct, frozen=True):
    """How many a source refused on one day, in UTC, for one reason."""

    day: date
    reason: str
    count: int
