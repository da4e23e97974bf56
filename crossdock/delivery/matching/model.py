"""A stored event, as matching needs it."""

from datetime import datetime
from uuid import UUID

import msgspec

from crossdock.inbound.model import EventStatus


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """An event without its body."""

    id: UUID
    source_id: UUID
    stream_seq: int
    """Its place on INGEST, by which ordered deliveries go."""
    event_type: str
    content_type: str
    provider_id: str | None
    headers: list[tuple[str, str]]
    status: EventStatus
    data_key: UUID | None
    """What sealed its body, if anything did."""
    size: int
    """Bytes of its body as it is stored."""
    stored_at: datetime | None
    """`None` for events of releases that did not write it down."""
    released_at: datetime | None
    """When what had been kept back was let go."""
