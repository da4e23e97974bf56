"""What crosses the boundary of support access."""

from datetime import datetime
from uuid import UUID

import msgspec


class SupportAccess(msgspec.Struct, frozen=True, kw_only=True):
    """An operator inside a tenant."""

    tenant_id: UUID
    id: UUID
    operator_id: UUID
    operator: str
    """Their e-mail address: the tenant's people know no other name."""
    reason: str
    created_at: datetime
    ends_at: datetime
    ended_at: datetime | None = None
    """When somebody ended it before its time."""
    ended_by: str | None = None
    """The id of that one, as on the wire."""

    @property
    def version(self) -> int:
        """Two, once it was ended before its time; else one."""
        return 1 + (self.ended_at is not None)


class SupportToken(msgspec.Struct, frozen=True):
    """A support access, and what opens it for some minutes."""

    access: SupportAccess
    access_token: str
    expires_in: int
    """Seconds."""
