"""`/v1/api-keys`: who else may call this API for the tenant."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import Meta

from crossdock import ids
from crossdock.access.model import ApiKey, NewApiKey
from crossdock.access.permissions import PERMISSIONS, PLATFORM_PERMISSIONS
from crossdock.access.rules import MAX_OVERLAP, MAX_PERMISSIONS
from crossdock.access.service import ApiKeys
from crossdock.inbound.model import Label, RatePerMinute
from gateway.declarations import Atomic
from gateway.entity_tags import versions
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Id, IfMatch, Limit, tagged

Permission = Annotated[
    str,
    Meta(
        max_length=64,
        pattern="^[a-z-]+:[a-z-]+$",
        extra_json_schema={"enum": sorted(PERMISSIONS | PLATFORM_PERMISSIONS)},
    ),
]


class ApiKeyOut(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, without its secret."""

    id: str
    name: str
    permissions: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To within five minutes."""
    revoked_at: datetime | None
    created_by: str | None
    """The user who made it: it is never more than they are, and ends with them."""
    rotated_to: str | None
    """The key that took its place."""
    requests_per_minute: int | None
    """Its own limit, where that is below the one that every key has."""


class NewApiKeyOut(ApiKeyOut, frozen=True, kw_only=True):
    """A key just made."""

    key: str
    """The key itself: shown this once, kept nowhere."""


class ApiKeyPage(msgspec.Struct, frozen=True):
    """API keys, newest first, revoked ones included."""

    items: list[ApiKeyOut]
    next_cursor: str | None


class ApiKeyCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key to be made; nobody grants more than they hold."""

    name: Label
    permissions: Annotated[list[Permission], Meta(min_length=1, max_length=MAX_PERMISSIONS)]
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    requests_per_minute: RatePerMinute | None = None
    """How many requests it may send: what every key may, or fewer."""


class ApiKeyRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long the old key goes on beside the new one, in seconds."""

    overlap_s: Annotated[int, Meta(ge=0, le=int(MAX_OVERLAP.total_seconds()))] = 86_400


class ApiKeyController(Controller):
    """API keys."""

    path = "/v1/api-keys"
    tags = ("API keys",)

    @post("/", permissions={"api-keys:write"}, idempotency=Atomic(secret=True))
    async def create_api_key(
        self,
        request: ApiRequest,
        api_keys: NamedDependency[ApiKeys],
        data: RequestBody[ApiKeyCreate],
    ) -> Response[NewApiKeyOut]:
        """Make a key; the answer shows it, and nothing does again."""
        made = await api_keys.create(
            request.tenant_id,
            name=data.name,
            permissions=frozenset(data.permissions),
            held=request.auth.permissions,
            expires_at=data.expires_at,
            requests_per_minute=data.requests_per_minute,
            by=request.auth,
            address=request.origin.address,
        )
        return _new(made)

    @post("/{key_id:str}/rotate", permissions={"api-keys:write"}, idempotency=Atomic(secret=True))
    async def rotate_api_key(
        self,
        request: ApiRequest,
        api_keys: NamedDependency[ApiKeys],
        key_id: Id,
        data: RequestBody[ApiKeyRotation],
        if_match: IfMatch = None,
    ) -> Response[NewApiKeyOut]:
        """Make a key in this one's place, the caller's own; the old one ends after a while."""
        made = await api_keys.rotate(
            request.auth,
            ids.decode("key", key_id),
            timedelta(seconds=data.overlap_s),
            versions(if_match),
            address=request.origin.address,
        )
        return _new(made)

    @get("/", permissions={"api-keys:read"})
    async def list_api_keys(
        self,
        request: ApiRequest,
        api_keys: NamedDependency[ApiKeys],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> ApiKeyPage:
        """List keys, newest first."""
        window = request.window("api-keys", limit, cursor, {})
        found = await api_keys.page(request.tenant_id, window)
        return ApiKeyPage(
            [_shown(key) for key in found.items], request.next_cursor("api-keys", found, {})
        )

    @get("/{key_id:str}", permissions={"api-keys:read"})
    async def get_api_key(
        self, request: ApiRequest, api_keys: NamedDependency[ApiKeys], key_id: Id
    ) -> Response[ApiKeyOut]:
        """Show a key."""
        found = await api_keys.get(request.tenant_id, ids.decode("key", key_id))
        return tagged(_shown(found), found.version)

    @delete("/{key_id:str}", permissions={"api-keys:write"}, idempotency=Atomic())
    async def revoke_api_key(
        self,
        request: ApiRequest,
        api_keys: NamedDependency[ApiKeys],
        key_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """Revoke a key: refused everywhere within a second. It stays listed."""
        await api_keys.revoke(
            request.tenant_id,
            ids.decode("key", key_id),
            versions(if_match),
            by=request.auth,
            address=request.origin.address,
        )


def _new(made: NewApiKey) -> Response[NewApiKeyOut]:
    shown = _shown(made.key)
    return tagged(
        NewApiKeyOut(**msgspec.structs.asdict(shown), key=made.text),
        made.key.version,
        shown=shown,
        Location=f"/v1/api-keys/{shown.id}",
    )


def _shown(key: ApiKey) -> ApiKeyOut:
    return ApiKeyOut(
        id=ids.encode("key", key.id),
        name=key.name,
        permissions=list(key.permissions),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        created_by=None if key.created_by is None else ids.encode("usr", key.created_by),
        rotated_to=None if key.rotated_to is None else ids.encode("key", key.rotated_to),
        requests_per_minute=key.requests_per_minute,
    )
