"""Support access: operators open it (`/v1/admin/…`), tenants see and end it."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import Meta

from crossdock import ids
from crossdock.access.support.model import SupportAccess, SupportToken
from crossdock.access.support.rules import MAX_MINUTES, MIN_MINUTES
from crossdock.access.support.service import OperatorSupport, SupportAccesses
from crossdock.tenancy.rules import MAX_REASON
from gateway.declarations import Apart, Atomic
from gateway.entity_tags import versions
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Id, IfMatch, Limit, tagged


class SupportAccessOut(msgspec.Struct, frozen=True, kw_only=True):
    """An operator who may look into the tenant, or might."""

    id: str
    operator: str
    """Their e-mail address."""
    reason: str
    created_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    """When it was ended before its time."""
    ended_by: str | None


class SupportAccessPage(msgspec.Struct, frozen=True):
    """Support accesses, newest first, past ones included."""

    items: list[SupportAccessOut]
    next_cursor: str | None


class SupportOpen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why a tenant is opened, and for how long; its people will read it."""

    reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON)]
    minutes: Annotated[int, Meta(ge=MIN_MINUTES, le=MAX_MINUTES)]


class SupportTokenOut(msgspec.Struct, frozen=True, kw_only=True):
    """A token for looking."""

    support_id: str
    access_token: str
    expires_in: int
    """Seconds."""
    ends_at: datetime
    """Of the access; until then there are more tokens."""


class SupportAccessController(Controller):
    """Operators inside the caller's tenant."""

    path = "/v1/support-accesses"
    tags = ("Support access",)

    @get("/", permissions={"support:read"})
    async def list_support_accesses(
        self,
        request: ApiRequest,
        support_accesses: NamedDependency[SupportAccesses],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> SupportAccessPage:
        """List support accesses, newest first."""
        window = request.window("support-accesses", limit, cursor, {})
        found = await support_accesses.page(request.tenant_id, window)
        return SupportAccessPage(
            [_shown(access) for access in found.items],
            request.next_cursor("support-accesses", found, {}),
        )

    @get("/{support_id:str}", permissions={"support:read"})
    async def get_support_access(
        self,
        request: ApiRequest,
        support_accesses: NamedDependency[SupportAccesses],
        support_id: Id,
    ) -> Response[SupportAccessOut]:
        """Show a support access."""
        key = ids.decode("sup", support_id)
        found = await support_accesses.get(request.tenant_id, key)
        return tagged(_shown(found), found.version)

    @delete("/{support_id:str}", permissions={"support:write"}, idempotency=Atomic())
    async def end_support_access(
        self,
        request: ApiRequest,
        support_accesses: NamedDependency[SupportAccesses],
        support_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """End a support access: refused everywhere within a second. It stays listed."""
        await support_accesses.end(
            request.auth,
            ids.decode("sup", support_id),
            versions(if_match),
            address=request.origin.address,
        )


class OperatorSupportController(Controller):
    """Looking into a tenant."""

    path = "/v1/admin/tenants/{tenant_id:str}/support"
    tags = ("Operators",)

    @post("/", operator={"support:open"}, idempotency=Apart(secret=True))
    async def open_support(
        self,
        request: ApiRequest,
        operator_support: NamedDependency[OperatorSupport],
        tenant_id: Id,
        data: RequestBody[SupportOpen],
    ) -> SupportTokenOut:
        """Open a tenant for looking; its owners get a letter, its audit an entry."""
        opened = await operator_support.open(
            request.auth,
            ids.decode("ten", tenant_id),
            data.reason,
            data.minutes,
            address=request.origin.address,
        )
        return _token(opened)

    @post("/{support_id:str}/token", operator={"support:open"}, idempotency=Apart(secret=True))
    async def renew_support(
        self,
        request: ApiRequest,
        operator_support: NamedDependency[OperatorSupport],
        tenant_id: Id,
        support_id: Id,
    ) -> SupportTokenOut:
        """Get another token of an access that lasts."""
        renewed = await operator_support.token(
            request.auth,
            ids.decode("ten", tenant_id),
            ids.decode("sup", support_id),
            address=request.origin.address,
        )
        return _token(renewed)

    @delete("/{support_id:str}", operator={"support:open"}, idempotency=Apart())
    async def end_support(
        self,
        request: ApiRequest,
        operator_support: NamedDependency[OperatorSupport],
        tenant_id: Id,
        support_id: Id,
    ) -> None:
        """End an access of one's own before its time."""
        await operator_support.end(
            request.auth,
            ids.decode("ten", tenant_id),
            ids.decode("sup", support_id),
            address=request.origin.address,
        )


def _shown(access: SupportAccess) -> SupportAccessOut:
    return SupportAccessOut(
        id=ids.encode("sup", access.id),
        operator=access.operator,
        reason=access.reason,
        created_at=access.created_at,
        ends_at=access.ends_at,
        ended_at=access.ended_at,
        ended_by=access.ended_by,
    )


def _token(opened: SupportToken) -> SupportTokenOut:
    return SupportTokenOut(
        support_id=ids.encode("sup", opened.access.id),
        access_token=opened.access_token,
        expires_in=opened.expires_in,
        ends_at=opened.access.ends_at,
    )
