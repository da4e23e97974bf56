"""What is released, and by whose word."""

from typing import NamedTuple
from uuid import UUID

import msgspec


class Asked(msgspec.Struct, frozen=True):
    """One request to release what a source held."""

    id: UUID
    is_settled: bool
    """Whether it is so old that no gateway goes on holding for want of hearing of it."""
    is_paused: bool
    """Whether the source is paused again."""


class Held(msgspec.Struct, frozen=True):
    """An event that can be released."""

    id: UUID
    size: int
    """Bytes of its body."""


class Parcel(msgspec.Struct, frozen=True):
    """An event that is released, as matching and announcing need it."""

    tenant_id: UUID
    event_id: UUID
    source_id: UUID
    stream_seq: int
    event_type: str
    content_type: str
    traceparent: str
    provider_id: str | None
    status: str
    """That it has from now on."""
    schema_version: int | None
    body: bytes | None
    """`None` for one that is sealed, or too large for a message."""
    headers: bytes
    """As they are stored."""
    data_key: UUID | None
    """The key that sealed its body."""
    kept: bytes | None
    """Its body as it is stored, where filters or order may look into it."""


class Ordered(NamedTuple):
    """A line that got deliveries, which wait for their turn."""

    tenant_id: UUID
    destination_id: UUID
    line: int


class Going(msgspec.Struct, frozen=True):
    """A delivery to be made."""

    id: UUID
    event_id: UUID
    destination_id: UUID
    line: int | None
    order_seq: int | None
    """With `line`: its place there."""
