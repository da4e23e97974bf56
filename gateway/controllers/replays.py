"""`/v1/replays`: finished deliveries made again, in bulk."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import Meta

from crossdock import ids
from crossdock.delivery.destinations.model import Pattern
from crossdock.delivery.model import Replay, ReplayFilter, ReplayState
from crossdock.delivery.replays.service import Replays
from gateway.declarations import Atomic
from gateway.request import ApiRequest
from gateway.wire import (
    DEFAULT_LIMIT,
    DESTINATION_ID,
    SOURCE_ID,
    Cursor,
    Id,
    Limit,
    body_id,
    tagged,
)

Moment = Annotated[datetime, Meta(tz=True)]


class ReplayWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which finished deliveries are made again; all conditions hold together."""

    state: Literal["dead", "delivered", "cancelled"] = "dead"
    created_after: Moment | None = None
    """Deliveries made at this moment or later."""
    created_before: Moment | None = None
    """Deliveries made before this moment."""
    source_id: Annotated[str, Meta(pattern=SOURCE_ID)] | None = None
    destination_id: Annotated[str, Meta(pattern=DESTINATION_ID)] | None = None
    event_types: Annotated[list[Pattern], Meta(max_length=100)] = []
    """Patterns, as for destinations; empty means all."""
    reason: Annotated[str, Meta(max_length=64, pattern="^[a-z_]*$")] | None = None
    """Class of dead letter."""
    last_status: Annotated[int, Meta(ge=100, le=599)] | None = None
    """What the destination answered last."""


class ReplayOut(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk replay, and how far it is."""

    id: str
    state: ReplayState
    filter: ReplayWish
    replayed: int
    """Deliveries made again so far."""
    created_at: datetime
    finished_at: datetime | None


class ReplayPage(msgspec.Struct, frozen=True):
    """Replays, newest first."""

    items: list[ReplayOut]
    next_cursor: str | None


class ReplayController(Controller):
    """Replays."""

    path = "/v1/replays"
    tags = ("Replays",)

    @post("/", permissions={"replays:write"}, idempotency=Atomic(required=True))
    async def create_replay(
        self, request: ApiRequest, replays: NamedDependency[Replays], data: RequestBody[ReplayWish]
    ) -> Response[ReplayOut]:
        """Start a replay of what matches now; a worker carries it out."""
        made = _shown(await replays.create(request.tenant_id, _filter(data)))
        return tagged(made, Location=f"/v1/replays/{made.id}")

    @get("/", permissions={"replays:read"})
    async def list_replays(
        self,
        request: ApiRequest,
        replays: NamedDependency[Replays],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> ReplayPage:
        """List replays, newest first."""
        window = request.window("replays", limit, cursor, {})
        found = await replays.page(request.tenant_id, window)
        return ReplayPage(
            [_shown(item) for item in found.items], request.next_cursor("replays", found, {})
        )

    @get("/{replay_id:str}", permissions={"replays:read"})
    async def get_replay(
        self, request: ApiRequest, replays: NamedDependency[Replays], replay_id: Id
    ) -> Response[ReplayOut]:
        """Show a replay and its progress."""
        found = await replays.get(request.tenant_id, ids.decode("rpl", replay_id))
        return tagged(_shown(found))

    @post(
        "/{replay_id:str}/cancel",
        permissions={"replays:write"},
        status_code=200,
        idempotency=Atomic(),
    )
    async def cancel_replay(
        self, request: ApiRequest, replays: NamedDependency[Replays], replay_id: Id
    ) -> Response[ReplayOut]:
        """Stop a running replay; what it has made goes on."""
        changed = await replays.cancel(request.tenant_id, ids.decode("rpl", replay_id))
        return tagged(_shown(changed))


def _filter(wish: ReplayWish) -> ReplayFilter:
    source_id, destination_id = wish.source_id, wish.destination_id
    return ReplayFilter(
        state=wish.state,
        created_after=wish.created_after,
        created_before=wish.created_before,
        source_id=None if source_id is None else body_id("src", "/source_id", source_id),
        destination_id=(
            None if destination_id is None else body_id("dst", "/destination_id", destination_id)
        ),
        event_types=tuple(wish.event_types),
        reason=wish.reason,
        last_status=wish.last_status,
    )


def _shown(replay: Replay) -> ReplayOut:
    wanted = replay.filter
    source_id, destination_id = wanted.source_id, wanted.destination_id
    return ReplayOut(
        id=ids.encode("rpl", replay.id),
        state=replay.state,
        filter=ReplayWish(
            state=wanted.state,
            created_after=wanted.created_after,
            created_before=wanted.created_before,
            source_id=None if source_id is None else ids.encode("src", source_id),
            destination_id=None if destination_id is None else ids.encode("dst", destination_id),
            event_types=list(wanted.event_types),
            reason=wanted.reason,
            last_status=wanted.last_status,
        ),
        replayed=replay.matched,
        created_at=replay.created_at,
        finished_at=replay.finished_at,
    )
