"""`/v1/tenant`: the caller's own tenant, and what it uses of what it may."""

from datetime import date, datetime

import msgspec
from litestar import Controller, Response, get, patch
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from crossdock import ids
from crossdock.inbound.model import Label
from crossdock.tenancy import rules
from crossdock.tenancy.model import Plan, Share, Tenant, TenantState, Usage
from crossdock.tenancy.own import OwnTenant
from gateway.declarations import Apart
from gateway.entity_tags import versions
from gateway.request import ApiRequest
from gateway.wire import IfMatch, MergePatch, tagged


class TenantOut(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant."""

    id: str
    slug: str
    name: str
    state: TenantState
    plan: Plan
    created_at: datetime


class TenantPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a tenant (RFC 7396): what is left out stays."""

    name: Label | UnsetType = UNSET


class UsageOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant uses of what it may."""

    plan: Plan
    day: date
    """The day of UTC that `events_per_day` and `bytes_per_day` are of."""
    usage: dict[str, Share]
    """By the quota's name."""
    blocked_until: datetime | None
    """Until when webhooks are refused, because the day's quota is used up."""


class TenantController(Controller):
    """The tenant."""

    path = "/v1/tenant"
    tags = ("Tenant",)

    @get("/", permissions={"tenant:read"})
    async def get_tenant(
        self, request: ApiRequest, own_tenant: NamedDependency[OwnTenant]
    ) -> Response[TenantOut]:
        """Show the caller's tenant."""
        return _tagged(await own_tenant.get(request.tenant_id))

    @patch("/", permissions={"tenant:write"}, idempotency=Apart())
    async def patch_tenant(
        self,
        request: ApiRequest,
        own_tenant: NamedDependency[OwnTenant],
        data: MergePatch[TenantPatch],
        if_match: IfMatch = None,
    ) -> Response[TenantOut]:
        """Rename the caller's tenant; its slug stays."""
        found = await own_tenant.rename(
            request.tenant_id,
            None if isinstance(data.name, UnsetType) else data.name,
            versions(if_match),
            by=request.auth,
            address=request.origin.address or None,
        )
        return _tagged(found)

    @get("/usage", permissions={"tenant:read"})
    async def get_tenant_usage(
        self, request: ApiRequest, own_tenant: NamedDependency[OwnTenant]
    ) -> Response[UsageOut]:
        """Show what the caller's tenant uses of what it may."""
        return tagged(shown_usage(await own_tenant.usage(request.tenant_id)))


def shown(tenant: Tenant) -> TenantOut:
    """Return a tenant as its own people see it."""
    return TenantOut(
        id=ids.encode("ten", tenant.id),
        slug=tenant.slug,
        name=tenant.name,
        state=tenant.state,
        plan=tenant.plan,
        created_at=tenant.created_at,
    )


def _tagged(tenant: Tenant) -> Response[TenantOut]:
    return tagged(shown(tenant), rules.own_version(tenant))


def shown_usage(usage: Usage) -> UsageOut:
    """Return usage as it is answered."""
    return UsageOut(
        plan=usage.plan,
        day=usage.day,
        usage=usage.shares,
        blocked_until=usage.blocked_until,
    )
