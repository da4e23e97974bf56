"""`/v1/audit`: who did what in the tenant."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from crossdock import ids
from crossdock.audit.model import ActorKind, AuditFilter, Recorded
from crossdock.audit.service import Audit
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Limit, query_id

Action = Annotated[
    str | None,
    QueryParameter(
        max_length=64,
        pattern=r"^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*\.?$",
        description="Only this action, or with a `.` at the end all of that subject: `user.`.",
    ),
]
ActorId = Annotated[
    str | None,
    QueryParameter(
        pattern="^(usr|key)_[0-7][0-9a-hjkmnp-tv-z]{25}$",
        description="Only what this user, operator or API key did.",
    ),
]


class AuditActorOut(msgspec.Struct, frozen=True):
    """Who did something."""

    kind: ActorKind
    id: str | None
    """`usr_…`, of an operator too, or `key_…`; `null` where it was nobody that has one."""


class EntryOut(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done, or tried."""

    id: str
    action: str
    """What was done; attempts that were refused end in `.refused`."""
    actor: AuditActorOut
    target: str | None
    """The id of what it was done to."""
    address: str | None
    """The network address it came from."""
    detail: dict[str, Any]
    created_at: datetime


class EntryPage(msgspec.Struct, frozen=True):
    """Entries, newest first."""

    items: list[EntryOut]
    next_cursor: str | None


class AuditController(Controller):
    """The audit."""

    path = "/v1/audit"
    tags = ("Audit",)

    @get("/", permissions={"audit:read"})
    async def list_audit(
        self,
        *,
        request: ApiRequest,
        audit: NamedDependency[Audit],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        action: Action = None,
        actor_id: ActorId = None,
    ) -> EntryPage:
        """List what was done in the tenant, newest first."""
        kind: ids.Kind = "key" if (actor_id or "").startswith("key_") else "usr"
        wanted = AuditFilter(action=action, actor_id=query_id(kind, "actor_id", actor_id))
        filters = msgspec.structs.asdict(wanted)
        window = request.window("audit", limit, cursor, filters)
        found = await audit.page(request.tenant_id, window, wanted)
        return EntryPage(
            [_shown(entry) for entry in found.items], request.next_cursor("audit", found, filters)
        )


def _shown(entry: Recorded) -> EntryOut:
    kind: ids.Kind = "key" if entry.actor_kind == "key" else "usr"
    actor_id = None if entry.actor_id is None else ids.encode(kind, entry.actor_id)
    return EntryOut(
        id=ids.encode("aud", entry.id),
        action=entry.action,
        actor=AuditActorOut(entry.actor_kind, actor_id),
        target=entry.target,
        address=entry.address,
        detail=entry.detail,
        created_at=entry.created_at,
    )
