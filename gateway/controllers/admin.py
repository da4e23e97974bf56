"""`/v1/admin/tenants`: what operators see and do of all tenants; an absent shard hides its own."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import UNSET, Meta, UnsetType

from crossdock import ids
from crossdock.inbound.model import Label
from crossdock.tenancy import rules
from crossdock.tenancy.model import By, Listed, ListedState, Plan, Tenant, Tier
from crossdock.tenancy.plans import MAX_LIMIT, MAX_RATE
from crossdock.tenancy.rules import GRACE_DAYS, MAX_GRACE_DAYS, MAX_REASON
from crossdock.tenancy.service import Tenants
from gateway.controllers.tenant import UsageOut, shown_usage
from gateway.declarations import Apart
from gateway.entity_tags import versions
from gateway.request import ApiRequest
from gateway.wire import (
    DEFAULT_LIMIT,
    Cursor,
    Id,
    IfMatch,
    Limit,
    MergePatch,
    tagged,
    without_unset,
)

Slug = Annotated[str, Meta(min_length=1, max_length=63, pattern="^[a-z0-9-]+$")]
Reason = Annotated[str, Meta(min_length=1, max_length=MAX_REASON)]
MaxOf = Annotated[int, Meta(ge=0, le=MAX_LIMIT)] | None | UnsetType
RateOf = Annotated[int, Meta(ge=1, le=MAX_RATE)] | None | UnsetType


class AdminTenantOut(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant as operators see it; what its shard does not tell is `null`."""

    id: str
    slug: str
    name: str
    state: ListedState
    """`unknown` while its shard does not answer."""
    shard: int
    tier: Tier
    plan: Plan | None
    quotas: dict[str, int] | None
    """Limits of its own, in place of its plan's."""
    reason: str | None
    terminate_at: datetime | None
    blocked_until: datetime | None
    created_at: datetime


class AdminTenantPage(msgspec.Struct, frozen=True):
    """Tenants, newest first."""

    items: list[AdminTenantOut]
    next_cursor: str | None


class AdminTenantCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tenant to be made."""

    name: Label
    slug: Slug | None = None
    plan: Plan = "standard"
    shard: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    """Where it will live; the rule of shards says unless told."""


class SuspendIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why a tenant is suspended."""

    reason: Reason


class ResumeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing is asked: an empty object."""


class TerminateIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why a tenant ends, and how long its data stays."""

    reason: Reason
    grace_days: Annotated[int, Meta(ge=0, le=MAX_GRACE_DAYS)] = GRACE_DAYS


class QuotasPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of a tenant's own; `null` gives back the plan's."""

    sources: MaxOf = UNSET
    destinations: MaxOf = UNSET
    users: MaxOf = UNSET
    api_keys: MaxOf = UNSET
    connections: MaxOf = UNSET
    stored_events: MaxOf = UNSET
    events_per_day: MaxOf = UNSET
    bytes_per_day: MaxOf = UNSET
    requests_per_minute: RateOf = UNSET
    webhooks_per_minute: RateOf = UNSET
    concurrent_jobs: MaxOf = UNSET


class QuotaPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of what a tenant may have (RFC 7396)."""

    plan: Plan | UnsetType = UNSET
    quotas: QuotasPatch | UnsetType = UNSET


class AdminTenantController(Controller):
    """Tenants, for operators."""

    path = "/v1/admin/tenants"
    tags = ("Operators",)

    @get("/", operator={"tenants:read"})
    async def list_all_tenants(
        self,
        request: ApiRequest,
        tenants: NamedDependency[Tenants],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> AdminTenantPage:
        """List all tenants, newest first."""
        found = await tenants.page(request.window("tenants", limit, cursor, {}))
        return AdminTenantPage(
            [_shown(one) for one in found.items], request.next_cursor("tenants", found, {})
        )

    @post("/", operator={"tenants:write"}, idempotency=Apart())
    async def create_tenant(
        self,
        request: ApiRequest,
        tenants: NamedDependency[Tenants],
        data: RequestBody[AdminTenantCreate],
    ) -> Response[AdminTenantOut]:
        """Make a tenant. It has no users yet: invite its owner."""
        made = await tenants.create(
            data.name, data.slug, plan=data.plan, shard=data.shard, by=_by(request)
        )
        shown = await _again(tenants, made)
        return _tagged(shown, Location=f"/v1/admin/tenants/{ids.encode('ten', made.id)}")

    @get("/{tenant_id:str}", operator={"tenants:read"})
    async def get_any_tenant(
        self, tenants: NamedDependency[Tenants], tenant_id: Id
    ) -> Response[AdminTenantOut]:
        """Show a tenant."""
        return _tagged(await tenants.see(_known(tenant_id)))

    @post(
        "/{tenant_id:str}/suspend", operator={"tenants:write"}, status_code=200, idempotency=Apart()
    )
    async def suspend_tenant(
        self,
        request: ApiRequest,
        tenants: NamedDependency[Tenants],
        tenant_id: Id,
        data: RequestBody[SuspendIn],
        if_match: IfMatch = None,
    ) -> Response[AdminTenantOut]:
        """Refuse its webhooks, writes and access tokens, within a second."""
        changed = await tenants.suspend(
            _known(tenant_id), versions(if_match), reason=data.reason, by=_by(request)
        )
        return _tagged(await _again(tenants, changed))

    @post(
        "/{tenant_id:str}/resume", operator={"tenants:write"}, status_code=200, idempotency=Apart()
    )
    async def resume_tenant(
        self,
        request: ApiRequest,
        tenants: NamedDependency[Tenants],
        tenant_id: Id,
        data: RequestBody[ResumeIn],
        if_match: IfMatch = None,
    ) -> Response[AdminTenantOut]:
        """Take its webhooks and writes again; one that is terminating is kept."""
        del data  # it says nothing
        changed = await tenants.resume(_known(tenant_id), versions(if_match), by=_by(request))
        return _tagged(await _again(tenants, changed))

    @post(
        "/{tenant_id:str}/terminate",
        operator={"tenants:write"},
        status_code=200,
        idempotency=Apart(),
    )
    async def terminate_tenant(
        self,
        request: ApiRequest,
        tenants: NamedDependency[Tenants],
        tenant_id: Id,
        data: RequestBody[TerminateIn],
        if_match: IfMatch = None,
    ) -> Response[AdminTenantOut]:
        """End it: it stops now, and its data goes after the grace."""
        changed = await tenants.terminate(
            _known(tenant_id),
            versions(if_match),
            reason=data.reason,
            grace_days=data.grace_days,
            by=_by(request),
        )
        return _tagged(await _again(tenants, changed))

    @patch("/{tenant_id:str}/quota", operator={"tenants:write"}, idempotency=Apart())
    async def patch_tenant_quota(
        self,
        request: ApiRequest,
        tenants: NamedDependency[Tenants],
        tenant_id: Id,
        data: MergePatch[QuotaPatch],
        if_match: IfMatch = None,
    ) -> Response[AdminTenantOut]:
        """Give it another plan, or limits of its own."""
        plain = without_unset(data)
        changed = await tenants.set_quota(
            _known(tenant_id),
            versions(if_match),
            plan=plain.get("plan"),
            quotas=plain.get("quotas"),
            by=_by(request),
        )
        return _tagged(await _again(tenants, changed))

    @get("/{tenant_id:str}/usage", operator={"tenants:read"})
    async def get_any_tenant_usage(
        self, tenants: NamedDependency[Tenants], tenant_id: Id
    ) -> Response[UsageOut]:
        """Show what it uses of what it may."""
        return tagged(shown_usage(await tenants.usage(_known(tenant_id))))


def _known(tenant_id: str) -> str:
    """Return a tenant's id; anything else is the id of nothing."""
    return ids.encode("ten", ids.decode("ten", tenant_id))


def _by(request: ApiRequest) -> By:
    return By(operator_id=request.auth.actor.id, address=request.origin.address or None)


async def _again(tenants: Tenants, changed: Tenant) -> Listed:
    return await tenants.see(ids.encode("ten", changed.id))


def _tagged(one: Listed, **headers: str) -> Response[AdminTenantOut]:
    version = None if one.tenant is None else rules.operators_version(one.tenant)
    return tagged(_shown(one), version, **headers)


def _shown(one: Listed) -> AdminTenantOut:
    tenant, place = one.tenant, one.placement
    return AdminTenantOut(
        id=ids.encode("ten", one.id),
        slug=place.slug,
        name=place.name if tenant is None else tenant.name,
        state=one.state,
        shard=place.shard,
        tier=place.tier,
        plan=None if tenant is None else tenant.plan,
        quotas=None if tenant is None else tenant.quotas,
        reason=None if tenant is None else tenant.reason,
        terminate_at=None if tenant is None else tenant.terminate_at,
        blocked_until=None if tenant is None else tenant.blocked_until,
        created_at=place.created_at,
    )
