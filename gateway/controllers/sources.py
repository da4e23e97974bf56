"""`/v1/sources`: the doors through which webhooks come in."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import UNSET, Meta, UnsetType

from crossdock import ids
from crossdock.inbound.model import (
    EventTypeRule,
    Header,
    Label,
    OpenedSource,
    Pointer,
    PublicUrl,
    RatePerMinute,
    Recipe,
    Scheme,
    SourceEdit,
    SourceState,
)
from crossdock.inbound.service import Sources
from crossdock.secrets.rules import MAX_LIVE
from gateway.declarations import Atomic
from gateway.entity_tags import versions
from gateway.request import ApiRequest
from gateway.wire import (
    DEFAULT_LIMIT,
    Cursor,
    Id,
    IfMatch,
    Limit,
    LiveSecret,
    MergePatch,
    live_secrets,
    tagged,
    without_unset,
)

Secret = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
OverlapSeconds = Annotated[float, Meta(ge=0, le=604_800)]

HIDDEN: Final = "***"


class SourceOut(msgspec.Struct, frozen=True, kw_only=True):
    """A source."""

    id: str
    name: str
    scheme: Scheme
    state: SourceState
    recipe: Recipe
    secrets: list[LiveSecret]
    ingest_url: str
    """Where its sender posts to. Whoever knows it may knock; the signature opens."""
    max_body_bytes: int
    webhooks_per_minute: int | None
    """Its own limit, if it has one; the tenant's holds beside it."""
    created_at: datetime
    updated_at: datetime


class SourceWithSecret(SourceOut, frozen=True, kw_only=True):
    """A source with the secret that was generated for it just now."""

    secret: str | None
    """Shown this once; `null` where it was given, or the scheme has none."""


class SourcePage(msgspec.Struct, frozen=True):
    """Sources, newest first."""

    items: list[SourceOut]
    next_cursor: str | None


class SourceCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A source to be made."""

    name: Label
    scheme: Scheme
    recipe: Recipe = Recipe()
    secrets: Annotated[list[Secret], Meta(max_length=MAX_LIVE)] = []
    """The provider's secrets, the current one first; without any, one is generated."""
    max_body_bytes: Annotated[int, Meta(ge=1)] | None = None
    webhooks_per_minute: RatePerMinute | None = None
    """How many webhooks it takes; the tenant's limit holds beside it."""


class HmacPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of the generic scheme's settings; `null` means the default."""

    signature_header: Header | UnsetType = UNSET
    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] | UnsetType | None = UNSET
    encoding: Literal["hex", "base64"] | UnsetType | None = UNSET
    key_encoding: Literal["raw", "hex", "base64"] | UnsetType | None = UNSET
    prefix: Annotated[str, Meta(max_length=64)] | UnsetType | None = UNSET
    timestamp_header: Header | UnsetType | None = UNSET
    id_header: Header | UnsetType | None = UNSET
    template: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType | None = UNSET


class RecipePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a recipe; `null` means the scheme's own way."""

    tolerance: Annotated[float, Meta(ge=1, le=604_800)] | UnsetType | None = UNSET
    public_url: PublicUrl | UnsetType | None = UNSET
    dedupe: Literal["auto", "none"] | list[Pointer] | UnsetType | None = UNSET
    event_type: EventTypeRule | UnsetType | None = UNSET
    verify_token: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType | None = UNSET
    hmac: HmacPatch | UnsetType | None = UNSET


class SourcePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a source (RFC 7396): what is left out stays."""

    name: Label | UnsetType = UNSET
    recipe: RecipePatch | UnsetType | None = UNSET
    max_body_bytes: Annotated[int, Meta(ge=1)] | UnsetType | None = UNSET
    webhooks_per_minute: RatePerMinute | UnsetType | None = UNSET


class SecretRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new current secret."""

    secret: Secret | None = None
    """The provider's new secret; where it is left out, one is generated."""
    overlap_s: OverlapSeconds = 86_400.0
    """For how long the old ones verify too: 0 to 7 days."""


class SourceController(Controller):
    """Sources."""

    path = "/v1/sources"
    tags = ("Sources",)

    @post("/", permissions={"sources:write"}, idempotency=Atomic(secret=True))
    async def create_source(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        data: RequestBody[SourceCreate],
    ) -> Response[SourceWithSecret]:
        """Make a source; the answer has its ingest URL and, if it was generated, its secret."""
        edit = SourceEdit(
            name=data.name,
            recipe=data.recipe,
            max_body_bytes=data.max_body_bytes,
            webhooks_per_minute=data.webhooks_per_minute,
        )
        made = await sources.create(request.tenant_id, data.scheme, edit, data.secrets)
        location = f"/v1/sources/{ids.encode('src', made.id)}"
        return _with_secret(made, request, Location=location)

    @get("/", permissions={"sources:read"})
    async def list_sources(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> SourcePage:
        """List sources, newest first."""
        window = request.window("sources", limit, cursor, {})
        found = await sources.page(request.tenant_id, window)
        return SourcePage(
            [_shown(item, request) for item in found.items],
            request.next_cursor("sources", found, {}),
        )

    @get("/{source_id:str}", permissions={"sources:read"})
    async def get_source(
        self, request: ApiRequest, sources: NamedDependency[Sources], source_id: Id
    ) -> Response[SourceOut]:
        """Show a source."""
        found = await sources.get(request.tenant_id, ids.decode("src", source_id))
        return tagged(_shown(found, request), found.source.version)

    @patch("/{source_id:str}", permissions={"sources:write"}, idempotency=Atomic(secret=True))
    async def patch_source(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        data: MergePatch[SourcePatch],
        if_match: IfMatch = None,
    ) -> Response[SourceOut]:
        """Change a source."""
        changed = await sources.patch(
            request.tenant_id, ids.decode("src", source_id), without_unset(data), versions(if_match)
        )
        return tagged(_shown(changed, request), changed.source.version)

    @delete("/{source_id:str}", permissions={"sources:write"}, idempotency=Atomic())
    async def delete_source(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """Delete a source: its URL answers 404 from then on. Its events stay."""
        key = ids.decode("src", source_id)
        await sources.delete(request.tenant_id, key, versions(if_match))

    @post(
        "/{source_id:str}/pause",
        permissions={"sources:write"},
        status_code=200,
        idempotency=Atomic(secret=True),
    )
    async def pause_source(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        if_match: IfMatch = None,
    ) -> Response[SourceOut]:
        """Refuse its webhooks until it is resumed."""
        key = ids.decode("src", source_id)
        changed = await sources.switch(request.tenant_id, key, "paused", versions(if_match))
        return tagged(_shown(changed, request), changed.source.version)

    @post(
        "/{source_id:str}/resume",
        permissions={"sources:write"},
        status_code=200,
        idempotency=Atomic(secret=True),
    )
    async def resume_source(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        if_match: IfMatch = None,
    ) -> Response[SourceOut]:
        """Take its webhooks again."""
        key = ids.decode("src", source_id)
        changed = await sources.switch(request.tenant_id, key, "active", versions(if_match))
        return tagged(_shown(changed, request), changed.source.version)

    @post(
        "/{source_id:str}/rotate-secret",
        permissions={"sources:write"},
        status_code=200,
        idempotency=Atomic(secret=True),
    )
    async def rotate_source_secret(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        data: RequestBody[SecretRotation],
        if_match: IfMatch = None,
    ) -> Response[SourceWithSecret]:
        """Make a new secret the current one; the old ones verify for a while more."""
        changed = await sources.rotate_secret(
            request.tenant_id,
            ids.decode("src", source_id),
            data.secret,
            timedelta(seconds=data.overlap_s),
            versions(if_match),
        )
        return _with_secret(changed, request)

    @delete(
        "/{source_id:str}/secrets/{secret_id:str}",
        permissions={"sources:write"},
        idempotency=Atomic(),
    )
    async def revoke_source_secret(
        self,
        *,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        secret_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """End one of the overlapping secrets at once; `If-Match` is about its source."""
        key = ids.decode("src", source_id)
        await sources.revoke_secret(request.tenant_id, key, secret_id, versions(if_match))


def _shown(opened: OpenedSource, request: ApiRequest) -> SourceOut:
    return SourceOut(**_fields(opened, request))


def _with_secret(
    opened: OpenedSource, request: ApiRequest, **headers: str
) -> Response[SourceWithSecret]:
    fields = _fields(opened, request)
    return tagged(
        SourceWithSecret(**fields, secret=opened.new_secret),
        opened.source.version,
        shown=SourceOut(**fields),
        **headers,
    )


def _fields(opened: OpenedSource, request: ApiRequest) -> dict[str, Any]:
    source = opened.source
    # Whoever has the token can send: operators who look into the tenant see that there is one.
    token = HIDDEN if request.auth.actor.kind == "operator" else opened.token
    return {
        "id": ids.encode("src", source.id),
        "name": source.name,
        "scheme": source.scheme,
        "state": source.state,
        "recipe": source.recipe,
        "secrets": live_secrets(source.secrets, datetime.now(UTC)),
        "ingest_url": f"{request.public_url}/in/{token}",
        "max_body_bytes": source.max_body_bytes,
        "webhooks_per_minute": source.webhooks_per_minute,
        "created_at": source.created_at,
        "updated_at": source.updated_at,
    }
