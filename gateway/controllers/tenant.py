"""`/v1/tenant`: the caller's own tenant."""

from datetime import datetime

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency

from crossdock import ids
from crossdock.tenancy.model import TenantState
from crossdock.tenancy.service import OwnTenant
from gateway.request import ApiRequest


class TenantOut(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant."""

    id: str
    slug: str
    name: str
    state: TenantState
    created_at: datetime


class TenantController(Controller):
    """The tenant."""

    path = "/v1/tenant"
    tags = ("Tenant",)

    @get("/", permissions={"tenant:read"})
    async def get_tenant(
        self, request: ApiRequest, own_tenant: NamedDependency[OwnTenant]
    ) -> TenantOut:
        """Show the caller's tenant."""
        found = await own_tenant.get(request.tenant_id)
        return TenantOut(
            id=ids.encode("ten", found.id),
            slug=found.slug,
            name=found.name,
            state=found.state,
            created_at=found.created_at,
        )
