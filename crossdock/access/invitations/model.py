"""What crosses the boundary of invitations."""

from datetime import datetime
from uuid import UUID

import msgspec

from crossdock.access.users.model import NewUser
from crossdock.tenancy.model import Tenant


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may become a user of a tenant, in certain roles."""

    tenant_id: UUID
    id: UUID
    email: str
    roles: tuple[str, ...]
    invited_by: UUID | None
    """The user who stands behind it; none where an operator does, or a key that nobody made."""
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def version(self) -> int:
        """How often it was changed, and one: it can be accepted, or be taken back."""
        return 1 + (self.accepted_at is not None) + (self.revoked_at is not None)


class Joined(msgspec.Struct, frozen=True):
    """Somebody who has just become a user."""

    tenant: Tenant
    user: NewUser
