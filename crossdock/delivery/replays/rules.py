"""Rules of bulk replays: what may be asked for, whose turn it is, how far one is. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from crossdock import ids
from crossdock.delivery import rules
from crossdock.delivery.model import Replay, ReplayFilter
from crossdock.errors import Violation

CLOCKS_APART: Final = timedelta(minutes=1)
"""By how much the clocks of gateways, workers and databases may differ, with some to spare."""
LATEST: Final = timedelta(days=1)
"""How long before it was stored an event may have come in: it waits in INGEST while the database is
away. A replay of what a disabled destination missed looks so far back; what waited for longer is
found by `created_after`."""

Job = tuple[UUID, UUID]
"""A running replay: its tenant and its id."""


def check(wanted: ReplayFilter) -> list[Violation]:
    """Return what is wrong with a wish, but for what only the database knows."""
    found = rules.check_types(wanted.event_types)
    after, before = wanted.created_after, wanted.created_before
    if after is not None and before is not None and after >= before:
        found.append(Violation("/created_before", "is not after created_after"))
    if wanted.delivery_ids and (wanted.is_of_events or wanted.event_ids):
        found.append(Violation("/delivery_ids", "excludes event_ids, and the states of events"))
    if wanted.event_ids and not wanted.is_of_events:
        found.append(Violation("/event_ids", "goes with the states missed and all"))
    if wanted.is_of_events:
        for name in ("reason", "last_status"):
            if getattr(wanted, name) is not None:
                found.append(Violation(f"/{name}", "is for deliveries, not for events"))
    if wanted.state == "missed" and wanted.destination_id is None:
        found.append(Violation("/destination_id", "is needed: whose events were missed?"))
    return found


def bounds(replay: Replay) -> tuple[UUID, UUID]:
    """Return between which ids a replay has yet to look; both are themselves outside.

    It ends where it began itself: what it makes is younger. Events it may have missed are looked at
    a little beyond, for gateways' clocks may be ahead of ours.
    """
    wanted = replay.filter
    low = UUID(int=0)
    if replay.low is not None:
        low = UUID(int=max(0, replay.low.int - 1))  # that one is inside
    if replay.cursor is not None:
        low = max(low, replay.cursor)
    high = replay.id
    if wanted.state == "missed":
        high = ids.floor(replay.created_at + CLOCKS_APART)
    if wanted.created_before is not None:
        high = min(high, ids.floor(wanted.created_before))
    return low, high


def progress(replay: Replay) -> float:
    """Return how far a replay is, 0 to 1: by the time covered, or by what was chosen."""
    if replay.state == "done":
        return 1.0
    chosen = replay.filter.delivery_ids or replay.filter.event_ids
    if chosen:
        return min(1.0, replay.seen / len(chosen))
    if replay.cursor is None or replay.low is None:
        return 0.0
    _, high = bounds(replay)
    begin, reached, end = (one.int >> 80 for one in (replay.low, replay.cursor, high))
    return min(1.0, max(0.0, (reached - begin) / max(1, end - begin)))


def beginning(wanted: ReplayFilter) -> datetime | None:
    """Return the moment from which on a replay looks; `None` for that of what is oldest."""
    if wanted.routed_after is not None:
        return wanted.routed_after - LATEST
    return wanted.created_after


def is_in_scope(
    wanted: ReplayFilter, stored_at: datetime | None, released_at: datetime | None
) -> bool:
    """Tell whether an event was stored, or released, since the moment that a replay names."""
    routed_at = released_at or stored_at
    if wanted.routed_after is None or routed_at is None:
        return True
    return routed_at >= wanted.routed_after - CLOCKS_APART


def take_turns(running: Sequence[Job], before: dict[UUID, UUID], most: int) -> list[Job]:
    """Return whose chunk is next: one of each tenant's replays, another one each time.

    Args:
        running: all replays, as far as they are known.
        before: by tenant, the replay that was last; it is brought up to date.
        most: how many at once. Of more tenants, those whose turn was longest ago are next.
    """
    of_tenant: dict[UUID, list[UUID]] = {}
    for tenant_id, replay_id in running:
        of_tenant.setdefault(tenant_id, []).append(replay_id)
    for gone in before.keys() - of_tenant.keys():
        del before[gone]
    # A dict keeps the order in which it was filled: whoever had a turn stands at its end.
    order = [tenant for tenant in of_tenant if tenant not in before]
    order += list(before)
    chosen = []
    for tenant_id in order[:most]:
        theirs = sorted(of_tenant[tenant_id])
        last = before.pop(tenant_id, UUID(int=0))
        turn = next((one for one in theirs if one > last), theirs[0])
        before[tenant_id] = turn
        chosen.append((tenant_id, turn))
    return chosen
