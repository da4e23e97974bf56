"""The step `match`: who wants it, and why the others don't, by what persisting goes by."""

from collections.abc import Sequence

from crossdock.db.schema import decode_headers
from crossdock.delivery.destinations.model import Destination
from crossdock.delivery.model import Cargo
from crossdock.routing import Judged, Subject, judge
from crossdock.simulations.model import Delivered, Incoming, Step, Unwanting

Verdicts = Sequence[tuple[Destination, Judged]]
"""What came of each destination."""


def verdicts(
    destinations: Sequence[Destination], cargo: Cargo, event_type: str, provider_id: str | None
) -> Verdicts:
    """Judge what comes in by each destination; to be called in a thread.

    Args:
        destinations: those of its tenant that are enabled.
        cargo: what comes in, as a dispatcher would have it.
        event_type: its type.
        provider_id: the provider's own id.
    """
    about = cargo.about
    if about is None:
        return []
    subject = Subject(
        event_id=cargo.event_id,
        source_id=about.source_id,
        event_type=event_type,
        content_type=cargo.content_type,
        provider_id=provider_id,
        headers=about.headers if isinstance(about.headers, list) else decode_headers(about.headers),
        body=cargo.body,
    )
    return list(zip(destinations, judge(subject, destinations), strict=True))


def step(found: Verdicts, incoming: Incoming) -> Step:
    """Say which destinations would get it, and why the others would not."""
    wanting = tuple(
        Delivered(destination_id=one.id, name=one.name) for one, judged in found if judged.wanted
    )
    others = tuple(
        Unwanting(one.id, one.name, judged.why_not, judged.detail or None)
        for one, judged in found
        if judged.why_not is not None
    )
    detail = f"Destinations that would get it: {len(wanting)}."
    if incoming.source.state == "paused":
        detail += " But the source is paused."
    return Step(
        name="match", outcome="passed", detail=detail, destinations=wanting, unwanting=others
    )
