"""`/v1/api-keys`: who else may call this API for the tenant."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import Meta

from crossdock import ids
from crossdock.access.model import ApiKey
from crossdock.access.rules import MAX_PERMISSIONS, PERMISSIONS
from crossdock.access.service import ApiKeys
from crossdock.inbound.model import Label
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Id, Limit

Permission = Annotated[
    str,
    Meta(
        max_length=64,
        pattern="^[a-z-]+:[a-z-]+$",
        extra_json_schema={"enum": sorted(PERMISSIONS)},
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


class ApiKeyController(Controller):
    """API keys."""

    path = "/v1/api-keys"
    tags = ("API keys",)

    @post("/", permissions={"api-keys:write"})
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
        )
        shown = NewApiKeyOut(**msgspec.structs.asdict(_shown(made.key)), key=made.text)
        return Response(shown, headers={"Location": f"/v1/api-keys/{shown.id}"})

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
    ) -> ApiKeyOut:
        """Show a key."""
        return _shown(await api_keys.get(request.tenant_id, ids.decode("key", key_id)))

    @delete("/{key_id:str}", permissions={"api-keys:write"})
    async def revoke_api_key(
        self, request: ApiRequest, api_keys: NamedDependency[ApiKeys], key_id: Id
    ) -> None:
        """Revoke a key: refused everywhere within a second. It stays listed."""
        await api_keys.revoke(request.tenant_id, ids.decode("key", key_id))


def _shown(key: ApiKey) -> ApiKeyOut:
    return ApiKeyOut(
        id=ids.encode("key", key.id),
        name=key.name,
        permissions=list(key.permissions),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
    )
