"""What is released, and by whose word."""

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
    """An event that was just released, as matching and announcing need it."""

    tenant_id: UUID
    event_id: UUID
    source_id: UUID
    stream_seq: int
    event_type: str
    content_type: str
    traceparent: str
    provider_id: str | None
    status: str
    schema_version: int | None
    body: bytes | None
    """`None` for one that is sealed, or too large for a message."""
