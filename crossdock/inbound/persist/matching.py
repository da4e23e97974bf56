"""Which of a tenant's destinations want an event.

Where a tenant has few of them, and neither filters nor order, they are asked one after another:
that is quicker than a call of the index. Filters are judged in Rust, in a thread.
"""

import time
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from crossdock import native, routing
from crossdock.delivery.rules import OWN_TYPES, matches
from crossdock.inbound.persist.model import Arrival, Route, Wanted
from crossdock.secrets.payloads import DataKey, open_payload
from crossdock.secrets.seal import SealBroken

MOST_TOLD: Final = 32_767
"""An event says of no more destinations that they want it."""

_FEW: Final = 16
"""Destinations that are asked one after another."""


class Given(NamedTuple):
    """What filters see, as `crossdock.native.Matcher` takes it."""

    event_id: bytes
    source_id: bytes
    event_type: str
    content_type: str
    provider_id: str | None
    headers: list[tuple[str, str]]
    body: bytes | None
    """Plain; `None` where it does not open."""


class Routed:
    """A tenant's destinations."""

    __slots__ = ("_each", "_matcher", "judges", "looks_into_bodies", "routes", "takes_all")

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes: Final = routes
        self.judges: Final = any(one.filter or one.order_by for one in routes)
        """Whether events are to be judged by `judge`."""
        self.looks_into_bodies: Final = any(
            (one.filter and "payload" in one.filter) or (one.order_by or "").startswith("/")
            for one in routes
        )
        """Whether that may look at bodies."""
        self.takes_all: Final = all(one.takes_all for one in routes)
        """Whether each wants every event but Crossdock's own."""
        self._each = [Wanted(one) for one in routes]
        self._matcher: native.Matcher | None = None

    @property
    def matcher(self) -> native.Matcher:
        """What judges events; made when it is first used, which takes long with many filters."""
        if self._matcher is None:
            self._matcher = routing.matcher(self.routes)
        return self._matcher

    @property
    def size(self) -> int:
        """About the bytes that its matcher takes."""
        return 0 if self._matcher is None else self._matcher.size

    def plainly(self, arrival: Arrival) -> Sequence[Wanted]:
        """Return who wants an event, where nobody has a filter or order."""
        event_type, each = arrival.message.event_type, self._each
        if event_type.startswith(OWN_TYPES):
            return self.judged(arrival, None)[0]
        if self.takes_all:
            return each
        if len(each) > _FEW:
            return self.judged(arrival, None)[0]
        source_id = arrival.source_id
        return [one for one in each if matches(one.route, source_id, event_type)]

    def judged(self, arrival: Arrival, body: bytes | None) -> tuple[list[Wanted], int]:
        """Return who wants an event, and how many filters could not be judged by it."""
        message = arrival.message
        return self.matching(
            Given(
                message.event_id,
                message.source_id,
                message.event_type,
                message.content_type,
                message.provider_id,
                message.headers,
                body,
            )
        )

    def matching(self, given: Given) -> tuple[list[Wanted], int]:
        """Return the same of any event."""
        wanted, errors = self.matcher.match(*given)
        each = self._each
        return [
            each[at] if line is None else Wanted(each[at].route, line) for at, line in wanted
        ], len(errors)


class Work(NamedTuple):
    """An event to be judged."""

    at: int
    """Its position in the batch."""
    arrival: Arrival
    routed: Routed
    key: DataKey | None
    """What opens its body, if it is sealed and its key is there."""


class Judgement(NamedTuple):
    """What came of it."""

    wanted: dict[int, list[Wanted]]
    """Who wants each event, by its position."""
    errors: int
    """How many filters could not be judged."""
    took_s: dict[UUID, float]
    """The seconds an event of each tenant took."""


def judge(work: Sequence[Work]) -> Judgement:
    """Return who wants each event.

    To be called in a thread: it takes microseconds an event, more with many filters and large
    bodies.
    """
    found: dict[int, list[Wanted]] = {}
    errors = 0
    took: dict[UUID, list[float]] = {}
    for one in work:
        began = time.perf_counter()
        found[one.at], wrong = one.routed.judged(one.arrival, _plain(one))
        errors += wrong
        took.setdefault(one.arrival.tenant_id, []).append(time.perf_counter() - began)
    return Judgement(found, errors, {key: sum(each) / len(each) for key, each in took.items()})


def _plain(work: Work) -> bytes | None:
    """Return a body as filters see it; `None` for one that does not open."""
    arrival = work.arrival
    if arrival.data_key is None:
        return arrival.message.body
    return opened(work.key, arrival.tenant_id, arrival.event_id, arrival.message.body)


def opened(key: DataKey | None, tenant_id: UUID, event_id: UUID, sealed: bytes) -> bytes | None:
    """Return a sealed body opened; `None` for one that does not open any more."""
    if key is None:
        return None
    try:
        return open_payload(key, tenant_id, event_id, sealed)
    except SealBroken:
        return None
