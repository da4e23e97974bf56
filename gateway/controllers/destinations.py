"""`/v1/destinations`: where events are delivered to."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import UNSET, Meta, UnsetType

from crossdock import ids
from crossdock.delivery.destinations.model import (
    Destination,
    DestinationEdit,
    DestinationState,
    DisabledReason,
    Label,
    OpenedDestination,
    Pattern,
    RetryPolicy,
)
from crossdock.delivery.destinations.service import Destinations
from gateway.declarations import Atomic
from gateway.entity_tags import versions
from gateway.request import ApiRequest
from gateway.wire import (
    DEFAULT_LIMIT,
    SOURCE_ID,
    Cursor,
    Id,
    IfMatch,
    Limit,
    LiveSecret,
    MergePatch,
    body_id,
    live_secrets,
    tagged,
    without_unset,
)

Url = Annotated[str, Meta(pattern="^https?://", max_length=2048)]
SourceIds = Annotated[
    # The pattern is told, and not checked twice: `body_id` reads ids, at a tenth of what it costs.
    list[Annotated[str, Meta(extra_json_schema={"pattern": SOURCE_ID})]], Meta(max_length=100)
]
EventTypes = Annotated[list[Pattern], Meta(max_length=100)]
TimeoutSeconds = Annotated[float, Meta(ge=1, le=60)]


class DestinationOut(msgspec.Struct, frozen=True, kw_only=True):
    """A destination."""

    id: str
    name: str
    url: str
    state: DestinationState
    disabled_reason: DisabledReason | None
    source_ids: list[str]
    """Whose events it gets; empty means those of all sources."""
    event_types: list[str]
    """Patterns of the types it gets, such as `order.*`; empty means all."""
    secrets: list[LiveSecret]
    retry: RetryPolicy | None
    """`null` for the default schedule."""
    timeout_s: float
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


class DestinationWithSecret(DestinationOut, frozen=True, kw_only=True):
    """A destination with the signing secret that was made for it just now."""

    secret: str
    """Shown this once: what the receiver verifies signatures with."""


class DestinationPage(msgspec.Struct, frozen=True):
    """Destinations, newest first."""

    items: list[DestinationOut]
    next_cursor: str | None


class DestinationCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A destination to be made."""

    name: Label
    url: Url
    source_ids: SourceIds = []
    event_types: EventTypes = []
    retry: RetryPolicy | None = None
    timeout_s: TimeoutSeconds | None = None


class RetryPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a retry policy; `null` means the default."""

    delays_s: list[float] | UnsetType | None = UNSET
    base_s: float | UnsetType | None = UNSET
    factor: float | UnsetType | None = UNSET
    cap_s: float | UnsetType | None = UNSET
    count: int | UnsetType | None = UNSET
    max_age_s: float | UnsetType | None = UNSET
    final_statuses: list[int] | UnsetType | None = UNSET


class DestinationPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a destination (RFC 7396): what is left out stays."""

    name: Label | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    source_ids: SourceIds | UnsetType | None = UNSET
    event_types: EventTypes | UnsetType | None = UNSET
    retry: RetryPatch | UnsetType | None = UNSET
    timeout_s: TimeoutSeconds | UnsetType | None = UNSET


class SigningSecretRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new signing secret is wanted."""

    overlap_s: Annotated[float, Meta(ge=0, le=604_800)] = 86_400.0
    """For how long deliveries are signed by the old ones too: 0 to 7 days."""


class DestinationController(Controller):
    """Destinations."""

    path = "/v1/destinations"
    tags = ("Destinations",)

    @post("/", permissions={"destinations:write"}, idempotency=Atomic(secret=True))
    async def create_destination(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        data: RequestBody[DestinationCreate],
    ) -> Response[DestinationWithSecret]:
        """Make a destination; the answer has its signing secret, and nothing shows it again."""
        edit = DestinationEdit(
            name=data.name,
            url=data.url,
            source_ids=_source_ids(data.source_ids),
            event_types=tuple(data.event_types),
            retry=data.retry,
            timeout_s=data.timeout_s,
        )
        made = await destinations.create(request.tenant_id, edit)
        location = f"/v1/destinations/{ids.encode('dst', made.destination.id)}"
        return _with_secret(made, Location=location)

    @get("/", permissions={"destinations:read"})
    async def list_destinations(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> DestinationPage:
        """List destinations, newest first."""
        window = request.window("destinations", limit, cursor, {})
        found = await destinations.page(request.tenant_id, window)
        return DestinationPage(
            [_shown(item) for item in found.items],
            request.next_cursor("destinations", found, {}),
        )

    @get("/{destination_id:str}", permissions={"destinations:read"})
    async def get_destination(
        self, request: ApiRequest, destinations: NamedDependency[Destinations], destination_id: Id
    ) -> Response[DestinationOut]:
        """Show a destination."""
        key = ids.decode("dst", destination_id)
        found = await destinations.get(request.tenant_id, key)
        return tagged(_shown(found), found.version)

    @patch("/{destination_id:str}", permissions={"destinations:write"}, idempotency=Atomic())
    async def patch_destination(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        destination_id: Id,
        data: MergePatch[DestinationPatch],
        if_match: IfMatch = None,
    ) -> Response[DestinationOut]:
        """Change a destination."""
        changed = await destinations.patch(
            request.tenant_id,
            ids.decode("dst", destination_id),
            _changes(data),
            versions(if_match),
        )
        return tagged(_shown(changed), changed.version)

    @delete("/{destination_id:str}", permissions={"destinations:write"}, idempotency=Atomic())
    async def delete_destination(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        destination_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """Delete a destination; what is on its way there is cancelled."""
        key = ids.decode("dst", destination_id)
        await destinations.delete(request.tenant_id, key, versions(if_match))

    @post(
        "/{destination_id:str}/disable",
        permissions={"destinations:write"},
        status_code=200,
        idempotency=Atomic(),
    )
    async def disable_destination(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        destination_id: Id,
        if_match: IfMatch = None,
    ) -> Response[DestinationOut]:
        """Stop delivering there until it is enabled."""
        key = ids.decode("dst", destination_id)
        allowed = versions(if_match)
        changed = await destinations.switch(request.tenant_id, key, "disabled", allowed)
        return tagged(_shown(changed), changed.version)

    @post(
        "/{destination_id:str}/enable",
        permissions={"destinations:write"},
        status_code=200,
        idempotency=Atomic(),
    )
    async def enable_destination(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        destination_id: Id,
        if_match: IfMatch = None,
    ) -> Response[DestinationOut]:
        """Deliver there again."""
        key = ids.decode("dst", destination_id)
        allowed = versions(if_match)
        changed = await destinations.switch(request.tenant_id, key, "enabled", allowed)
        return tagged(_shown(changed), changed.version)

    @post(
        "/{destination_id:str}/rotate-secret",
        permissions={"destinations:write"},
        status_code=200,
        idempotency=Atomic(secret=True),
    )
    async def rotate_destination_secret(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        destination_id: Id,
        data: RequestBody[SigningSecretRotation],
        if_match: IfMatch = None,
    ) -> Response[DestinationWithSecret]:
        """Sign with a new secret, and with the old ones for a while more."""
        changed = await destinations.rotate_secret(
            request.tenant_id,
            ids.decode("dst", destination_id),
            timedelta(seconds=data.overlap_s),
            versions(if_match),
        )
        return _with_secret(changed)


def _source_ids(texts: Sequence[str]) -> tuple[UUID, ...]:
    return tuple(body_id("src", f"/source_ids/{index}", text) for index, text in enumerate(texts))


def _changes(data: DestinationPatch) -> dict[str, Any]:
    """Return the patch as the domain has it: with its own ids."""
    changes = without_unset(data)
    if changes.get("source_ids") is not None:
        changes["source_ids"] = [str(key) for key in _source_ids(changes["source_ids"])]
    return changes


def _shown(destination: Destination) -> DestinationOut:
    return DestinationOut(**_fields(destination))


def _with_secret(opened: OpenedDestination, **headers: str) -> Response[DestinationWithSecret]:
    destination = opened.destination
    fields = _fields(destination)
    return tagged(
        DestinationWithSecret(**fields, secret=opened.new_secret or ""),
        destination.version,
        shown=DestinationOut(**fields),
        **headers,
    )


def _fields(destination: Destination) -> dict[str, Any]:
    return {
        "id": ids.encode("dst", destination.id),
        "name": destination.name,
        "url": destination.url,
        "state": destination.state,
        "disabled_reason": destination.disabled_reason,
        "source_ids": [ids.encode("src", key) for key in destination.source_ids],
        "event_types": list(destination.event_types),
        "secrets": live_secrets(destination.secrets, datetime.now(UTC)),
        "retry": destination.retry,
        "timeout_s": destination.timeout_s,
        "failing_since": destination.failing_since,
        "created_at": destination.created_at,
        "updated_at": destination.updated_at,
    }
