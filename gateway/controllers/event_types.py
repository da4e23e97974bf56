"""`/v1/event-types`: the schemas that events are held to."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import PathParameter, RequestBody
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from crossdock import ids
from crossdock.event_types.compatibility import Difference, Policy
from crossdock.event_types.model import (
    Breach,
    Check,
    Description,
    DetailedType,
    EventType,
    EventTypeEdit,
    Mode,
    SchemaVersion,
    TypeName,
)
from crossdock.event_types.service import EventTypes
from gateway.declarations import Atomic
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

ASKS_ONLY: Final = "nothing changes, so it may be sent any number of times."

SchemaText = Annotated[
    msgspec.Raw,
    Meta(
        description="JSON Schema, 2020-12: at most 64 KiB, no remote references.",
        extra_json_schema={"type": ["object", "boolean"]},
    ),
]
NewestSchema = Annotated[
    msgspec.Raw, Meta(extra_json_schema={"type": ["object", "boolean", "null"]})
]
Payload = Annotated[msgspec.Raw, Meta(description="Any JSON.")]
Number = Annotated[int, Meta(ge=1, le=2**31 - 1)]
NumberInPath = Annotated[
    int, PathParameter(ge=1, le=2**31 - 1, description="The number of a version.")
]


class EventTypeItem(msgspec.Struct, frozen=True, kw_only=True):
    """An event type in a list."""

    id: str
    name: str
    description: str
    mode: Mode
    """What becomes of an event that breaks the schema: `off` looks at none, `warn` delivers it all
    the same, `quarantine` keeps it from delivery until its owner decides, `reject` refuses it."""
    compatibility: Policy
    """Which changes of the schema are taken: with `backward`, the new one accepts all that the old
    one accepts; with `full`, also the other way round; with `none`, any."""
    latest_version: int
    """The number of the newest schema; 0 while there is none."""
    created_at: datetime
    updated_at: datetime


class EventTypeOut(EventTypeItem, frozen=True, kw_only=True):
    """An event type."""

    schema: NewestSchema
    """The newest, as it was given; `null` while there is none."""


class EventTypePage(msgspec.Struct, frozen=True):
    """Event types, newest first."""

    items: list[EventTypeItem]
    next_cursor: str | None


class EventTypeCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An event type to be made."""

    name: TypeName
    """As events have it, case and all."""
    description: Description = ""
    mode: Mode = "off"
    compatibility: Policy = "backward"
    schema: SchemaText | UnsetType = UNSET


class EventTypePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of an event type (RFC 7396). Its name stays."""

    description: Description | UnsetType | None = UNSET
    mode: Mode | UnsetType | None = UNSET
    compatibility: Policy | UnsetType | None = UNSET
    schema: SchemaText | UnsetType = UNSET
    """A new version, in place of the one before: it is not merged with it."""
    force: bool = False
    """Take the schema though `compatibility` does not allow the change."""


class SchemaVersionItem(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an event type's schema in a list."""

    number: int
    created_at: datetime
    size: int
    """Bytes of the schema."""


class SchemaVersionOut(SchemaVersionItem, frozen=True, kw_only=True):
    """A version of an event type's schema."""

    schema: SchemaText


class SchemaVersionPage(msgspec.Struct, frozen=True):
    """Versions, newest first; the newest 100 are kept."""

    items: list[SchemaVersionItem]
    next_cursor: str | None


class SchemaCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A schema to be tried."""

    schema: SchemaText


class StoredExample(msgspec.Struct, frozen=True):
    """A stored event that the schema would refuse."""

    event_id: str
    violations: list[Breach]


class StoredCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The schema, held against the newest stored events of the type."""

    looked_at: int
    """At most 100."""
    passed_over: int
    """Those that are too large to look at, or whose key is gone."""
    failing: int
    examples: list[StoredExample]
    """At most 5 of them."""


class SchemaCheckOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a new schema would mean."""

    compatible: bool
    """Whether `compatibility` allows the change."""
    compatibility: Policy
    differences: list[Difference]
    """At most 100, what breaks most first; none where both accept the same."""
    stored: StoredCheck


class PayloadCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A payload to be held to the schema."""

    payload: Payload
    version: Number | None = None
    """The version of the schema; the newest unless given."""


class PayloadCheckOut(msgspec.Struct, frozen=True, kw_only=True):
    """What the schema says of a payload."""

    valid: bool
    version: int
    violations: list[Breach]
    """At most 5."""


class EventTypeController(Controller):
    """Event types."""

    path = "/v1/event-types"
    tags = ("Event types",)

    @post("/", permissions={"event-types:write"}, idempotency=Atomic())
    async def create_event_type(
        self,
        request: ApiRequest,
        event_types: NamedDependency[EventTypes],
        data: RequestBody[EventTypeCreate],
    ) -> Response[EventTypeOut]:
        """Make an event type; gateways know it within a second."""
        edit = EventTypeEdit(
            description=data.description, mode=data.mode, compatibility=data.compatibility
        )
        made = await event_types.create(request.tenant_id, data.name, edit, _bytes(data.schema))
        shown = _shown(made)
        return tagged(shown, made.event_type.version, Location=f"/v1/event-types/{shown.id}")

    @get("/", permissions={"event-types:read"})
    async def list_event_types(
        self,
        request: ApiRequest,
        event_types: NamedDependency[EventTypes],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> EventTypePage:
        """List event types, newest first, without their schemas."""
        window = request.window("event-types", limit, cursor, {})
        found = await event_types.page(request.tenant_id, window)
        return EventTypePage(
            [EventTypeItem(**_fields(item)) for item in found.items],
            request.next_cursor("event-types", found, {}),
        )

    @get("/{event_type_id:str}", permissions={"event-types:read"})
    async def get_event_type(
        self, request: ApiRequest, event_types: NamedDependency[EventTypes], event_type_id: Id
    ) -> Response[EventTypeOut]:
        """Show an event type with its newest schema."""
        found = await event_types.get(request.tenant_id, ids.decode("ety", event_type_id))
        return tagged(_shown(found), found.event_type.version)

    @patch("/{event_type_id:str}", permissions={"event-types:write"}, idempotency=Atomic())
    async def patch_event_type(
        self,
        request: ApiRequest,
        event_types: NamedDependency[EventTypes],
        event_type_id: Id,
        data: MergePatch[EventTypePatch],
        if_match: IfMatch = None,
    ) -> Response[EventTypeOut]:
        """Change an event type. A schema becomes its newest version, if that change is allowed."""
        changes = without_unset(replace(data, schema=UNSET))
        del changes["force"]
        changed = await event_types.patch(
            request.tenant_id,
            ids.decode("ety", event_type_id),
            changes,
            versions(if_match),
            schema=_bytes(data.schema),
            force=data.force,
        )
        return tagged(_shown(changed), changed.event_type.version)

    @delete("/{event_type_id:str}", permissions={"event-types:write"}, idempotency=Atomic())
    async def delete_event_type(
        self,
        request: ApiRequest,
        event_types: NamedDependency[EventTypes],
        event_type_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """Delete an event type and its schemas: its events are held to none from then on."""
        key = ids.decode("ety", event_type_id)
        await event_types.delete(request.tenant_id, key, versions(if_match))

    @get("/{event_type_id:str}/versions", permissions={"event-types:read"})
    async def list_event_type_versions(
        self,
        *,
        request: ApiRequest,
        event_types: NamedDependency[EventTypes],
        event_type_id: Id,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> SchemaVersionPage:
        """List the versions of an event type's schema, newest first."""
        key = ids.decode("ety", event_type_id)
        filters = {"event_type_id": key}
        window = request.window("event-type-versions", limit, cursor, filters)
        found = await event_types.page_versions(request.tenant_id, key, window)
        return SchemaVersionPage(
            [SchemaVersionItem(**_version(item)) for item in found.items],
            request.next_cursor("event-type-versions", found, filters),
        )

    @get("/{event_type_id:str}/versions/{number:str}", permissions={"event-types:read"})
    async def get_event_type_version(
        self,
        request: ApiRequest,
        event_types: NamedDependency[EventTypes],
        event_type_id: Id,
        number: NumberInPath,
    ) -> Response[SchemaVersionOut]:
        """Show one version of an event type's schema."""
        key = ids.decode("ety", event_type_id)
        found = await event_types.get_version(request.tenant_id, key, number)
        return tagged(SchemaVersionOut(**_version(found), schema=_raw(found.schema)))

    @post(
        "/{event_type_id:str}/check",
        permissions={"event-types:write", "events:read"},
        status_code=200,
        no_key=ASKS_ONLY,
    )
    async def check_event_type(
        self,
        request: ApiRequest,
        event_types: NamedDependency[EventTypes],
        event_type_id: Id,
        data: RequestBody[SchemaCheck],
    ) -> SchemaCheckOut:
        """Tell what a new schema would mean: how it differs, and which stored events it refuses."""
        key = ids.decode("ety", event_type_id)
        return _checked(await event_types.check(request.tenant_id, key, bytes(data.schema)))

    @post(
        "/{event_type_id:str}/validate",
        permissions={"event-types:write"},
        status_code=200,
        no_key=ASKS_ONLY,
    )
    async def validate_payload(
        self,
        request: ApiRequest,
        event_types: NamedDependency[EventTypes],
        event_type_id: Id,
        data: RequestBody[PayloadCheck],
    ) -> PayloadCheckOut:
        """Hold a payload to an event type's schema."""
        key = ids.decode("ety", event_type_id)
        number, found = await event_types.validate(
            request.tenant_id, key, bytes(data.payload), data.version
        )
        return PayloadCheckOut(valid=not found, version=number, violations=list(found))


def _bytes(schema: msgspec.Raw | UnsetType) -> bytes | None:
    return None if isinstance(schema, UnsetType) else bytes(schema)


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _shown(found: DetailedType) -> EventTypeOut:
    return EventTypeOut(**_fields(found.event_type), schema=_raw(found.schema or "null"))


def _fields(event_type: EventType) -> dict[str, Any]:
    return {
        "id": ids.encode("ety", event_type.id),
        "name": event_type.name,
        "description": event_type.description,
        "mode": event_type.mode,
        "compatibility": event_type.compatibility,
        "latest_version": event_type.latest,
        "created_at": event_type.created_at,
        "updated_at": event_type.updated_at,
    }


def _version(version: SchemaVersion) -> dict[str, Any]:
    size = len(version.schema.encode())
    return {"number": version.number, "created_at": version.created_at, "size": size}


def _checked(check: Check) -> SchemaCheckOut:
    stored = check.stored
    examples = [
        StoredExample(ids.encode("evt", one.event_id), list(one.violations))
        for one in stored.examples
    ]
    return SchemaCheckOut(
        compatible=check.allowed,
        compatibility=check.policy,
        differences=list(check.differences),
        stored=StoredCheck(
            looked_at=stored.looked_at,
            passed_over=stored.passed_over,
            failing=stored.failing,
            examples=examples,
        ),
    )
