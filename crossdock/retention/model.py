"""What crosses the boundary of retention."""

from datetime import datetime
from uuid import UUID

import msgspec

from crossdock.db.retention import DropReport, Due


class Drop(msgspec.Struct, frozen=True, kw_only=True):
    """What went of one tenant's events with one partition."""

    tenant_id: UUID
    id: UUID
    begins: datetime
    """When the first moment was that the partition took events of."""
    ends: datetime
    events: int
    """That went."""
    bytes: int
    """Of their bodies."""
    kept: int
    """Events that stayed, for they were not finished."""
    dropped_at: datetime


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What went with one partition of one shard, of all tenants."""

    shard: int
    begins: datetime
    ends: datetime
    tenants: int
    events: int
    bytes: int
    kept: int
    dropped_at: datetime


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass did on one shard, or would do."""

    shard: int
    due: tuple[Due, ...] = ()
    """Where it only looked."""
    report: DropReport | None = None
    """Where it did it."""
