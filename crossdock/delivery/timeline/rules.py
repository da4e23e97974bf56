"""Rules of timelines: which entries there are, and what of a request is shown. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, get_args
from uuid import UUID

from crossdock import ids
from crossdock.delivery.matching.model import Occurrence
from crossdock.delivery.model import Attempt, Delivery
from crossdock.delivery.timeline.model import Course, Entry, EntryType
from crossdock.inbound.model import DELIVERED

HIDDEN: Final = "***"
SHOWN: Final = frozenset(
    {
        "accept",
        "content-length",
        "content-type",
        "crossdock-about",
        "host",
        "traceparent",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
    }
)
"""Headers of a request whose values are shown. All else may be a credential, or stand for one, as a
signature does for five minutes: a list of what to hide would always lack one."""

_ORDER: Final = {name: place for place, name in enumerate(get_args(EntryType))}
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_SCHEMES: Final = {
    "none": "none: whoever knows its URL may send",
    "api": "published by the tenant itself",
}


def redacted(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return a request's headers, with the values of all that may be secret hidden."""
    return [(name, value if name.lower() in SHOWN else HIDDEN) for name, value in headers]


def entries(
    event: Occurrence,
    scheme: str | None,
    courses: Sequence[Course],
    attempts: Sequence[Attempt],
    disabled: frozenset[UUID],
) -> list[Entry]:
    """Return what happened to an event, and what is to happen, in the order of time.

    Args:
        event: which.
        scheme: how its source verifies; `None` for a source that is gone.
        courses: its deliveries.
        attempts: theirs.
        disabled: the destinations among theirs that are switched off.
    """
    found = [*_arrival(event, scheme)]
    by_id = {course.delivery.id: course.delivery for course in courses}
    for course in courses:
        found += _course(event, course, disabled)
    for attempt in attempts:
        delivery = by_id[attempt.delivery_id]
        found.append(
            Entry(
                type="attempt",
                at=ids.time_of(attempt.id),
                destination_id=delivery.destination_id,
                delivery_id=delivery.id,
                attempt=attempt,
            )
        )
    if not courses and event.status in DELIVERED:
        detail = "no destination wanted it"
        found.append(Entry(type="unmatched", at=_routed_at(event), detail=detail))
    return sorted(found, key=lambda one: (one.at or _NEVER, _ORDER[one.type]))


def _arrival(event: Occurrence, scheme: str | None) -> Iterator[Entry]:
    received_at = ids.time_of(event.id)
    yield Entry(type="received", at=received_at)
    if scheme is not None:
        yield Entry(type="verified", at=received_at, detail=_SCHEMES.get(scheme, scheme))
    stored_at = event.stored_at
    if stored_at is not None:
        # The clocks of a gateway and of the database differ, and nothing is stored before it came.
        yield Entry(type="stored", at=max(stored_at, received_at))
    if event.released_at is not None:
        yield Entry(type="released", at=event.released_at)
    elif event.status not in DELIVERED:
        yield Entry(type="kept_back", at=stored_at or received_at, detail=event.status)


def _routed_at(event: Occurrence) -> datetime:
    received_at = ids.time_of(event.id)
    return event.released_at or max(event.stored_at or received_at, received_at)


def _course(event: Occurrence, course: Course, disabled: frozenset[UUID]) -> Iterator[Entry]:
    delivery = course.delivery
    # What persisting makes has the upper half of its event's id; what is made later does not.
    is_first = delivery.id.int >> 64 == event.id.int >> 64
    yield Entry(
        type="matched" if is_first else "replayed",
        at=_routed_at(event) if is_first else ids.time_of(delivery.id),
        destination_id=delivery.destination_id,
        delivery_id=delivery.id,
        replay_id=delivery.replay_id,
    )
    yield _end(course, is_disabled=delivery.destination_id in disabled)


def _end(course: Course, *, is_disabled: bool) -> Entry:
    """Return how a delivery ended, or how it goes on."""
    delivery = course.delivery
    kind, at, detail = _state(delivery)
    if delivery.state == "pending":
        if course.is_leased:
            kind, at = "under_way", None
        elif is_disabled:
            kind, at, detail = "waiting", None, "its destination is disabled"
        elif delivery.due_at is None:
            kind, at, detail = "waiting", None, "others of its line are before it"
    return Entry(
        type=kind,
        at=at,
        detail=detail,
        destination_id=delivery.destination_id,
        delivery_id=delivery.id,
        replay_id=delivery.replay_id,
    )


def _state(delivery: Delivery) -> tuple[EntryType, datetime | None, str | None]:
    match delivery.state:
        case "pending":
            return "next_attempt", delivery.due_at, None
        case "delivered":
            return "delivered", delivery.finished_at, None
        case "cancelled":
            return "cancelled", delivery.finished_at, delivery.reason
        case "dead" | "replayed":  # a dead letter, whether or not it was replayed since
            return "dead", delivery.finished_at, delivery.reason
