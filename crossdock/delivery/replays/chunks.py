"""One chunk of a replay: looked at, matched and made, in the caller's transaction."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final, get_args
from uuid import UUID

import msgspec

from crossdock import ids
from crossdock.delivery import rules as matching_rules
from crossdock.delivery import store as deliveries
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.destinations.model import Destination
from crossdock.delivery.matching import Occurrence, judge_stored
from crossdock.delivery.matching import store as occurrences
from crossdock.delivery.model import Delivery, DeliveryState, Replay, ReplayFilter
from crossdock.delivery.order import store as order
from crossdock.delivery.replays import rules, store
from crossdock.inbound.model import DELIVERED
from crossdock.secrets.payloads import KeyReader

MOST_MADE: Final = 5000
"""Deliveries that one chunk makes, at most, however many destinations want each event."""
LONGEST_WAIT: Final = timedelta(minutes=1)
"""How long a replay waits for transactions that may not have seen its destination enabled: ten
times as long as one may take."""

Line = tuple[UUID, UUID, int]
Place = tuple[int, int]
"""A line, and its event's number on the stream."""


class Chunk(msgspec.Struct, frozen=True):
    """What came of a chunk."""

    cursor: UUID | None
    """The last that was looked at."""
    seen: int
    made: int
    is_last: bool = False
    """There is nothing more to look at."""


class Waiting(msgspec.Struct, frozen=True):
    """Nothing was done: it is too early."""

    destination_id: UUID | None = None
    """The one for which so much waits already."""


class Making(msgspec.Struct, frozen=True):
    """With what chunks are made."""

    conn: Any
    """Inside the tenant; nothing but the replay's row is held."""
    keys: KeyReader | None
    now: float
    """Unix seconds."""
    limit: int
    """Deliveries, or events, that are looked at."""
    most_waiting: int
    """Deliveries that may wait for one destination before no more are made for it."""


async def of_deliveries(making: Making, replay: Replay) -> Chunk | Waiting:
    """Make finished deliveries again."""
    conn, tenant_id, wanted = making.conn, replay.tenant_id, replay.filter
    seen = await store.candidates(conn, replay, making.limit)
    if not seen:
        return Chunk(replay.cursor, 0, 0, is_last=True)
    living = await destinations.living(conn, tenant_id, {one.destination_id for one in seen})
    states: Collection[DeliveryState] = (
        store.FINISHED
        if wanted.state is None
        else [one for one in get_args(DeliveryState) if one == wanted.state]
    )
    chosen = [one for one in seen if _is_wanted(wanted, states, one, living)]
    made = 0
    if chosen:
        targets = {one.destination_id for one in chosen}
        crowded = await store.crowded(conn, tenant_id, targets, making.most_waiting)
        if crowded is not None:
            return Waiting(crowded)
        made = await _again(making, replay, chosen, states, living)
    return Chunk(seen[-1].id, len(seen), made)


async def of_events(making: Making, replay: Replay) -> Chunk | Waiting:
    """Make deliveries of events, to whoever wants them now."""
    conn, tenant_id, wanted = making.conn, replay.tenant_id, replay.filter
    if not await _may_begin(making, replay):
        return Waiting()
    targets = await _targets(conn, tenant_id, wanted)
    limit = max(1, min(making.limit, MOST_MADE // max(1, len(targets))))
    seen, found = await _next(conn, replay, limit)
    if not targets or not seen:
        return Chunk(replay.cursor, 0, 0, is_last=True)
    there = [one for one in found if _is_in_scope(wanted, one)]
    if wanted.state == "missed" and there:
        sent = await store.sent(conn, tenant_id, targets[0].id, [one.id for one in there])
        there = [one for one in there if one.id not in sent]
    made = [
        _delivery(replay, making.now, one.id, target.id, _place(judged.line, one.stream_seq))
        for one, verdicts in zip(
            there, await judge_stored(conn, making.keys, tenant_id, there, targets), strict=True
        )
        for target, judged in zip(targets, verdicts, strict=True)
        if judged.wanted
    ]
    if made:
        to = {one.destination_id for one in made}
        crowded = await store.crowded(conn, tenant_id, to, making.most_waiting)
        if crowded is not None:
            return Waiting(crowded)
        await _add(conn, tenant_id, made, set())
    return Chunk(seen[-1], len(seen), len(made))


async def _may_begin(making: Making, replay: Replay) -> bool:
    """Tell whether what a replay looks for can't be added to behind its back.

    A batch that is being persisted may have read that the destination was disabled, and be
    committed after we looked; and another replay may be making the same deliveries.
    """
    wanted = replay.filter
    if wanted.state != "missed" or wanted.destination_id is None:
        return True
    if replay.cursor is None and replay.mark is not None:
        waited = datetime.fromtimestamp(making.now, UTC) - replay.created_at
        if waited < LONGEST_WAIT and await store.ended(making.conn) < replay.mark:
            return False
    return await store.claim_destination(making.conn, wanted.destination_id)


async def _targets(conn: Any, tenant_id: UUID, wanted: ReplayFilter) -> Sequence[Destination]:
    """Return where events go: to the one that is named, whatever its state, or all that listen."""
    if wanted.destination_id is None:
        return await destinations.listening(conn, tenant_id)
    found = await destinations.get(conn, tenant_id, wanted.destination_id)
    return [] if found is None else [found]


async def _next(
    conn: Any, replay: Replay, limit: int
) -> tuple[Sequence[UUID], Sequence[Occurrence]]:
    """Return the ids that are looked at, and the events that they are of."""
    low, high = rules.bounds(replay)
    chosen = replay.filter.event_ids
    if chosen:
        ahead = sorted(one for one in chosen if low < one < high)
        looked_at = list(islice(ahead, limit))
        return looked_at, await occurrences.some(conn, replay.tenant_id, looked_at)
    found = await occurrences.between(conn, replay.tenant_id, low, high, limit)
    return [one.id for one in found], found


def _is_in_scope(wanted: ReplayFilter, one: Occurrence) -> bool:
    return (
        one.status in DELIVERED
        and wanted.source_id in {None, one.source_id}
        and matching_rules.matches_type(wanted.event_types, one.event_type)
        and rules.is_in_scope(wanted, one.stored_at, one.released_at)
    )


async def _again(
    making: Making,
    replay: Replay,
    chosen: Sequence[store.Candidate],
    states: Collection[DeliveryState],
    living: dict[UUID, bool],
) -> int:
    """Make deliveries again; tell how many: one may have changed since it was looked at."""
    conn, tenant_id = making.conn, replay.tenant_id
    if any(one.line is not None for one in chosen):
        await order.hold(conn, tenant_id)
    held = await store.hold_finished(conn, tenant_id, [one.id for one in chosen], states)
    there = [one for one in chosen if one.id in held]
    made = [
        _delivery(
            replay,
            making.now,
            one.event_id,
            one.destination_id,
            _place(one.line, one.order_seq) if living[one.destination_id] else None,
        )
        for one in there
    ]
    dead = [one for one in there if held[one.id] == "dead"]
    if dead:
        await deliveries.mark_replayed(conn, tenant_id, [one.id for one in dead])
    freed = {(tenant_id, one.destination_id, one.line) for one in dead if one.line is not None}
    await _add(conn, tenant_id, made, freed)
    return len(made)


async def _add(conn: Any, tenant_id: UUID, made: Sequence[Delivery], freed: set[Line]) -> None:
    """Insert deliveries, and see who is next in their lines."""
    entered = {(tenant_id, one.destination_id, one.line) for one in made if one.line is not None}
    if entered:
        await order.hold(conn, tenant_id)
    await deliveries.add_deliveries(conn, made)
    if entered or freed:
        await order.promote(conn, entered | freed)


def _delivery(
    replay: Replay, now: float, event_id: UUID, destination_id: UUID, place: Place | None
) -> Delivery:
    line, order_seq = place or (None, None)
    return Delivery(
        tenant_id=replay.tenant_id,
        id=ids.new(now),
        event_id=event_id,
        destination_id=destination_id,
        state="pending",
        attempts=0,
        due_at=datetime.fromtimestamp(now, UTC),
        replay_id=replay.id,
        last_status=None,
        last_error=None,
        reason=None,
        finished_at=None,
        line=line,
        order_seq=order_seq,
    )


def _place(line: int | None, order_seq: int | None) -> Place | None:
    return None if line is None or order_seq is None else (line, order_seq)


def _is_wanted(
    wanted: ReplayFilter,
    states: Collection[DeliveryState],
    one: store.Candidate,
    living: Collection[UUID],
) -> bool:
    """Tell whether a delivery matches, and can be made again at all."""
    return (
        one.event_type is not None
        and one.destination_id in living
        and one.state in states
        and wanted.destination_id in {None, one.destination_id}
        and wanted.source_id in {None, one.source_id}
        and wanted.reason in {None, one.reason}
        and wanted.last_status in {None, one.last_status}
        and matching_rules.matches_type(wanted.event_types, one.event_type)
    )
