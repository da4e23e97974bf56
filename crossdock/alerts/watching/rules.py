"""When something is worth an alert, and when it has passed. Pure: the moment is passed in."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeGuard

from crossdock.alerts.model import Alert, Watched
from crossdock.alerts.watching.model import Because, Destination, Raise, Resolve, Source

GAP: Final = timedelta(hours=1)
"""The same kind of the same subject is raised no more often: what comes and goes is told once."""
WINDOW: Final = timedelta(hours=1)
"""What is counted is counted over so long, and lasts for as long at least."""

Verdict = Raise | Resolve


def of_destination(
    seen: Destination, latest: Mapping[str, Alert], now: datetime
) -> Iterator[Verdict]:
    """Return what is to be raised and resolved of a destination.

    Args:
        seen: the destination.
        latest: the newest alert of each kind about it.
        now: the present moment.
    """
    yield from _failing(seen, latest.get("destination_failing"), now)
    yield from _disabled(seen, latest.get("destination_disabled"), now)
    yield from _dead(seen, latest.get("dead_letters"), now)


def _failing(seen: Destination, last: Alert | None, now: datetime) -> Iterator[Verdict]:
    since = seen.failing_since
    if is_open(last):
        if seen.state != "enabled":
            yield Resolve(last, "disabled")
        elif since is None:
            yield Resolve(last, "answers")
        return
    if seen.state != "enabled" or since is None or not may_raise(seen, last, now):
        return
    if now - since >= timedelta(seconds=seen.wishes.failing_after_s):
        yield _raised(seen, "destination_failing", since, since=since.isoformat())


def _disabled(seen: Destination, last: Alert | None, now: datetime) -> Iterator[Verdict]:
    """By us: an owner who disables a destination knows."""
    is_ours = seen.state == "disabled" and seen.disabled_reason in {"failing", "gone"}
    if is_open(last):
        if not is_ours:
            yield Resolve(last, "enabled" if seen.state == "enabled" else "disabled")
        return
    if is_ours and may_raise(seen, last, now):
        since = seen.disabled_at or now
        words = {"reason": seen.disabled_reason, "since": since.isoformat()}
        yield _raised(seen, "destination_disabled", since, **words)


def _dead(seen: Destination, last: Alert | None, now: datetime) -> Iterator[Verdict]:
    most = seen.wishes.dead_letters_per_hour
    yield from _counted(seen, "dead_letters", last, seen.dead >= most, now, count=seen.dead)


def of_source(seen: Source, latest: Mapping[str, Alert], now: datetime) -> Iterator[Verdict]:
    """Return what is to be raised and resolved of a source; as `of_destination`."""
    last = latest.get("source_refusing")
    if is_open(last) and seen.state != "active":
        yield Resolve(last, "paused")
        return
    # One that is paused or disabled refuses all, as somebody told it to.
    much = seen.state == "active" and seen.refused >= seen.wishes.refusals_per_hour
    yield from _counted(seen, "source_refusing", last, much, now, count=seen.refused)


def _counted(
    seen: Destination | Source,
    kind: Watched,
    last: Alert | None,
    is_much: bool,  # noqa: FBT001 - a judgement, not an option
    now: datetime,
    **detail: Any,
) -> Iterator[Verdict]:
    if is_open(last):
        if not is_much and now - last.created_at >= WINDOW:
            yield Resolve(last, "fewer")
    elif is_much and may_raise(seen, last, now):
        yield _raised(seen, kind, now, **detail)


def is_open(last: Alert | None) -> TypeGuard[Alert]:
    """Tell whether there is an alert that has not passed."""
    return last is not None and last.resolved_at is None


def may_raise(seen: Destination | Source, last: Alert | None, now: datetime) -> bool:
    """Tell whether the last one of the kind is long enough ago, and its tenant active."""
    return seen.is_active and (last is None or now - last.created_at >= GAP)


def is_well(because: Because) -> bool:
    """Tell whether an alert passed because things are well again."""
    return because in {"answers", "enabled", "fewer"}


def _raised(seen: Destination | Source, kind: Watched, began: datetime, **detail: Any) -> Raise:
    return Raise(
        tenant_id=seen.tenant_id,
        kind=kind,
        subject=seen.id,
        period=began.astimezone(UTC).isoformat(),
        detail={"name": seen.name, **detail},
    )
