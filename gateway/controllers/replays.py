"""`/v1/replays`: finished deliveries, or events, delivered again in bulk."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import Meta

from crossdock import ids
from crossdock.delivery.destinations.model import Pattern
from crossdock.delivery.model import MOST_CHOSEN, Replay, ReplayFilter, ReplayOf, ReplayState
from crossdock.delivery.replays import rules
from crossdock.delivery.replays.service import Replays
from gateway.declarations import Atomic
from gateway.request import ApiRequest
from gateway.wire import (
    DEFAULT_LIMIT,
    DELIVERY_ID,
    DESTINATION_ID,
    EVENT_ID,
    SOURCE_ID,
    Cursor,
    Id,
    Limit,
    body_id,
    tagged,
)

Moment = Annotated[datetime, Meta(tz=True)]


Chosen = Meta(max_length=MOST_CHOSEN)


class ReplayWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is delivered again; all conditions hold together."""

    state: ReplayOf | None = None
    """`dead`, `delivered`, `cancelled`: finished deliveries of that state are made again. `missed`:
    events that a destination wants now and has no delivery of. `all`: each event, to whoever wants
    it now. Unless given: `dead`; where deliveries are named, whatever they came to; where events
    are, `all`."""
    created_after: Moment | None = None
    """Deliveries made, or events received, at this moment or later. For `missed`, unless given:
    since the destination was disabled last."""
    created_before: Moment | None = None
    """Deliveries made, or events received, before this moment."""
    source_id: Annotated[str, Meta(pattern=SOURCE_ID)] | None = None
    destination_id: Annotated[str, Meta(pattern=DESTINATION_ID)] | None = None
    """Needed for `missed`."""
    event_types: Annotated[list[Pattern], Meta(max_length=100)] = []
    """Patterns, as for destinations; empty means all."""
    reason: Annotated[str, Meta(max_length=64, pattern="^[a-z_]*$")] | None = None
    """Class of dead letter."""
    last_status: Annotated[int, Meta(ge=100, le=599)] | None = None
    """What the destination answered last."""
    delivery_ids: Annotated[
        # The patterns are told, and not checked twice: `body_id` reads ids.
        list[Annotated[str, Meta(extra_json_schema={"pattern": DELIVERY_ID})]], Chosen
    ] = []
    """Only these deliveries."""
    event_ids: Annotated[
        list[Annotated[str, Meta(extra_json_schema={"pattern": EVENT_ID})]], Chosen
    ] = []
    """Only these events: for `missed` and `all`."""


class ReplayOut(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk replay, and how far it is."""

    id: str
    state: ReplayState
    filter: ReplayWish
    seen: int
    """Deliveries, or events, looked at so far."""
    replayed: int
    """Deliveries made so far."""
    progress: Annotated[float, Meta(ge=0, le=1)]
    """How much of the time range it has been through, or of what was named."""
    waiting_for: str | None
    """The destination for which so many deliveries wait that it makes no more for now."""
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
        """Start a replay of what matches now; a worker carries it out, in the order of time.

        While more than 5,000 deliveries wait for a destination, it makes no more for it.
        """
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
        "/{replay_id:str}/pause",
        permissions={"replays:write"},
        status_code=200,
        idempotency=Atomic(),
    )
    async def pause_replay(
        self, request: ApiRequest, replays: NamedDependency[Replays], replay_id: Id
    ) -> Response[ReplayOut]:
        """Have a running replay make no more for now; what it has made goes on."""
        changed = await replays.pause(request.tenant_id, ids.decode("rpl", replay_id))
        return tagged(_shown(changed))

    @post(
        "/{replay_id:str}/resume",
        permissions={"replays:write"},
        status_code=200,
        idempotency=Atomic(),
    )
    async def resume_replay(
        self, request: ApiRequest, replays: NamedDependency[Replays], replay_id: Id
    ) -> Response[ReplayOut]:
        """Have a paused replay go on where it was."""
        changed = await replays.resume(request.tenant_id, ids.decode("rpl", replay_id))
        return tagged(_shown(changed))

    @post(
        "/{replay_id:str}/cancel",
        permissions={"replays:write"},
        status_code=200,
        idempotency=Atomic(),
    )
    async def cancel_replay(
        self, request: ApiRequest, replays: NamedDependency[Replays], replay_id: Id
    ) -> Response[ReplayOut]:
        """End a replay that is not done; what it has made goes on."""
        changed = await replays.cancel(request.tenant_id, ids.decode("rpl", replay_id))
        return tagged(_shown(changed))


def _filter(wish: ReplayWish) -> ReplayFilter:
    source_id, destination_id = wish.source_id, wish.destination_id
    return ReplayFilter(
        state=_state(wish),
        created_after=wish.created_after,
        created_before=wish.created_before,
        source_id=None if source_id is None else body_id("src", "/source_id", source_id),
        destination_id=(
            None if destination_id is None else body_id("dst", "/destination_id", destination_id)
        ),
        event_types=tuple(wish.event_types),
        reason=wish.reason,
        last_status=wish.last_status,
        delivery_ids=_chosen("dlv", "delivery_ids", wish.delivery_ids),
        event_ids=_chosen("evt", "event_ids", wish.event_ids),
    )


def _state(wish: ReplayWish) -> ReplayOf | None:
    """Return what is made again, where the wish does not say."""
    if wish.state is not None:
        return wish.state
    if wish.delivery_ids:
        return None
    return "all" if wish.event_ids else "dead"


def _chosen(kind: Literal["dlv", "evt"], name: str, texts: list[str]) -> tuple[UUID, ...]:
    read = [body_id(kind, f"/{name}/{index}", text) for index, text in enumerate(texts)]
    return tuple(dict.fromkeys(read))


def _shown(replay: Replay) -> ReplayOut:
    wanted = replay.filter
    source_id, destination_id = wanted.source_id, wanted.destination_id
    return ReplayOut(
        id=ids.encode("rpl", replay.id),
        state=replay.state,
        filter=ReplayWish(
            state=wanted.state,
            created_after=wanted.created_after or wanted.routed_after,
            created_before=wanted.created_before,
            source_id=None if source_id is None else ids.encode("src", source_id),
            destination_id=None if destination_id is None else ids.encode("dst", destination_id),
            event_types=list(wanted.event_types),
            reason=wanted.reason,
            last_status=wanted.last_status,
            delivery_ids=[ids.encode("dlv", one) for one in wanted.delivery_ids],
            event_ids=[ids.encode("evt", one) for one in wanted.event_ids],
        ),
        seen=replay.seen,
        replayed=replay.matched,
        progress=round(rules.progress(replay), 4),
        waiting_for=None if replay.waits_for is None else ids.encode("dst", replay.waits_for),
        created_at=replay.created_at,
        finished_at=replay.finished_at,
    )
