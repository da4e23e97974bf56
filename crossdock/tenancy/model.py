"""What crosses the boundary of tenancy."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

TenantState = Literal["active", "suspended", "terminating", "terminated"]


class Tenant(msgspec.Struct, frozen=True):
    """A customer of whoever runs Crossdock; everything else belongs to one."""

    id: UUID
    slug: str
    """Unique in the installation; lower-case letters, digits and dashes."""
    name: str
    state: TenantState
    shard: int
    version: int
    created_at: datetime
