"""Rules of routing: pure, and to be called in a thread where there are filters and large bodies."""

from collections.abc import Sequence
from typing import Final

from crossdock import ids, native
from crossdock.delivery.rules import OWN_TYPES, wants_type
from crossdock.errors import Violation
from crossdock.routing.model import Judged, Subject, Subscription

ABOUT: Final = "crossdock-about"
"""The header that names what an event of Crossdock's own is about. A destination is never told of
itself, and nobody is told of what doesn't say."""


def check_filter(text: str, pointer: str = "/filter") -> list[Violation]:
    """Return what is wrong with a filter: at most one thing, with its line and column."""
    try:
        found = native.check_filter(text)
    except UnicodeEncodeError:
        return [Violation(pointer, "A filter has characters that are no text.")]
    if found is None:
        return []
    line, column, reason = found
    where = f"Line {line}, column {column}: " if line else ""
    return [Violation(pointer, f"{where}{reason}.")]


def matcher(destinations: Sequence[Subscription]) -> native.Matcher:
    """Return what finds those of a tenant's destinations that want an event."""
    return native.Matcher(
        [
            (
                one.id.bytes,
                [source.bytes for source in one.source_ids],
                list(one.event_types),
                one.filter,
                one.order_by,
            )
            for one in destinations
        ]
    )


def judge(subject: Subject, destinations: Sequence[Subscription]) -> list[Judged]:
    """Say of each of a tenant's destinations whether it wants an event, and why not.

    It goes by what persisting goes by. To be called in a thread where there are filters.
    """
    return judge_many([subject], destinations)[0]


def judge_many(
    subjects: Sequence[Subject], destinations: Sequence[Subscription]
) -> list[list[Judged]]:
    """Say of each event what `judge` says of it."""
    made = matcher(destinations)
    return [_judge(made, subject, destinations) for subject in subjects]


def _judge(
    made: native.Matcher, subject: Subject, destinations: Sequence[Subscription]
) -> list[Judged]:
    wanted, errors = made.match(
        subject.event_id.bytes,
        subject.source_id.bytes,
        subject.event_type,
        subject.content_type,
        subject.provider_id,
        list(subject.headers),
        subject.body,
    )
    lines, wrong = dict(wanted), dict(errors)
    return [
        Judged(line=lines[at])
        if at in lines
        else Judged("filter_error", wrong[at])
        if at in wrong
        else _unwanted(subject, one)
        for at, one in enumerate(destinations)
    ]


def _unwanted(subject: Subject, destination: Subscription) -> Judged:
    """Say why a destination does not want an event, where its filter could be judged."""
    if destination.source_ids and subject.source_id not in destination.source_ids:
        return Judged("source")
    if not wants_type(destination.event_types, subject.event_type):
        return Judged("type")
    if subject.event_type.startswith(OWN_TYPES) and _is_about(subject, destination):
        return Judged("about")
    return Judged("filter")


def _is_about(subject: Subject, destination: Subscription) -> bool:
    """Tell whether an event of Crossdock's own is about a destination, or says not about what."""
    about = next((value for name, value in subject.headers if name.lower() == ABOUT), None)
    return about is None or about == ids.encode("dst", destination.id)
