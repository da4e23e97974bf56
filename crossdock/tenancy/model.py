"""What crosses the boundary of tenancy."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

TenantState = Literal["provisioning", "active", "suspended", "terminating", "terminated"]
ListedState = Literal["provisioning", "active", "suspended", "terminating", "terminated", "unknown"]
Tier = Literal["shared", "dedicated"]
Plan = Literal["free", "standard", "business", "unlimited"]
Made = Literal["sources", "destinations", "users", "api_keys", "connections", "concurrent_jobs"]
"""What is counted where it is made, without a race past the limit."""
Rate = Literal["requests_per_minute", "webhooks_per_minute"]
"""What is limited as it comes; see `crossdock.limits`."""
Quota = Made | Rate | Literal["stored_events", "events_per_day", "bytes_per_day"]
"""All that a plan limits."""


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
    plan: Plan = "standard"
    quotas: dict[str, int] = {}
    """Limits of its own, in place of its plan's."""
    not_before: datetime | None = None
    """Tokens that were issued earlier are refused."""
    reason: str | None = None
    """Why it is suspended or ends."""
    terminate_at: datetime | None = None
    """When the grace of one that ends is over; none once its data is erased."""
    blocked_until: datetime | None = None
    """Until when its webhooks are refused, because a day's quota is used up."""


class Placement(msgspec.Struct, frozen=True):
    """Where a tenant lives; the one row that claims its slug for the whole installation."""

    tenant_id: UUID
    slug: str
    name: str
    shard: int
    tier: Tier
    created_at: datetime

    @property
    def id(self) -> UUID:
        """The tenant's."""
        return self.tenant_id


class Listed(msgspec.Struct, frozen=True):
    """A tenant in an operator's list."""

    placement: Placement
    tenant: Tenant | None
    """None while its shard does not answer, or has not made it yet."""
    has_answered: bool
    """Whether its shard did."""

    @property
    def id(self) -> UUID:
        """The tenant's."""
        return self.placement.tenant_id

    @property
    def state(self) -> ListedState:
        """Its state, as far as anybody knows."""
        if self.tenant is not None:
            return self.tenant.state
        return "provisioning" if self.has_answered else "unknown"


class Share(msgspec.Struct, frozen=True):
    """How much of a quota is used."""

    used: int | None
    """None where it is not counted here: requests are counted by those who answer them."""
    limit: int | None
    """None where there is no limit."""
    percent: int | None
    """Whole percent, rounded down; none without a limit."""


class Usage(msgspec.Struct, frozen=True):
    """What a tenant uses of what it may."""

    plan: Plan
    day: date
    """Days are UTC's."""
    shares: dict[str, Share]
    """By the quota's name."""
    blocked_until: datetime | None


class Day(msgspec.Struct, frozen=True):
    """What a tenant received: on a day, and in all days that are kept."""

    events: int = 0
    bytes: int = 0
    stored_events: int = 0


class By(msgspec.Struct, frozen=True):
    """Who switches a tenant's state, as the audit tells it."""

    operator_id: UUID | None = None
    """A user of the platform's own tenant; none for who works at the servers themselves."""
    name: str | None = None
    """For people to read, where there is no id to look up."""
    address: str | None = None


class Joined(msgspec.Struct, frozen=True):
    """What a verified signup made."""

    tenant_id: UUID
    slug: str
    tenant_name: str
    user_id: UUID
    email: str


def detail_of(by: By, **more: Any) -> dict[str, Any]:
    """Return what an audit entry tells besides who and what; what is unknown is left out."""
    told = {"by": by.name, **more}
    return {name: value for name, value in told.items() if value is not None}
