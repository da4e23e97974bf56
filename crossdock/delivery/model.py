"""What crosses the boundary of the delivery domain; the stored shapes of its JSON columns too."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from crossdock.delivery.destinations.model import (
    BreakerMode,
    Kind,
    Order,
    Pattern,
    Rate,
    RetryPolicy,
    Settings,
    Signing,
)
from crossdock.secrets.model import SealedSecret

DeliveryState = Literal["pending", "delivered", "dead", "cancelled", "replayed"]
ReplayState = Literal["running", "paused", "done", "cancelled"]

DeadReason = Literal[
    "attempts_exhausted",
    "too_old",
    "rejected",
    "gone",
    "destination_deleted",
    "event_missing",
    "payload_shredded",
    "payload_unreadable",
    "transform_failed",
]
"""Class of a dead letter: what would have to change for a replay to succeed."""

FailureKind = Literal[
    "connect",
    "tls",
    "timeout",
    "read",
    "refused",
    "odd",
    "internal",
    "credentials",
    "transform",
]
"""Why an attempt has no answer.

`refused` is our own guard's word, `odd` an answer that isn't HTTP, `internal` a fault on our side;
`credentials` could not be had (a token endpoint that says no), `transform` a script that ran out of
its time or memory.
"""


class Target(msgspec.Struct, frozen=True):
    """A destination as a dispatcher needs it."""

    tenant_id: UUID
    id: UUID
    url: str
    enabled: bool
    """False also while its tenant is not active: its deliveries wait."""
    secrets: tuple[SealedSecret, ...]
    retry: RetryPolicy | None
    timeout_s: float
    failing_s: float | None
    """For how long it has known nothing but failures, by the database's clock, when it was read."""
    version: int
    kind: Kind = "http"
    settings: Settings | None = None
    credentials: SealedSecret | None = None
    transform: str | None = None
    signing: Signing = "hmac"
    rate: Rate | None = None
    concurrency: int | None = None
    order: Order | None = None
    breaker: BreakerMode = "auto"


class About(msgspec.Struct, frozen=True, gc=False):
    """What is known of an event beside its body."""

    source_id: UUID
    event_type: str
    provider_id: str | None
    headers: list[tuple[str, str]] | bytes
    """As the message had them, or as they are stored: few need them, so few decode them."""


class Cargo(msgspec.Struct, frozen=True, gc=False):
    """An event as a dispatcher needs it: what is sent, byte for byte, and what goes beside it."""

    event_id: UUID
    content_type: str
    traceparent: str
    body: bytes
    data_key: UUID | None = None
    """The key that sealed the body, which is then opened when it is sent."""
    about: About | None = None
    """`None` where nobody asked: a simulation's, say."""


class Leased(msgspec.Struct, frozen=True, gc=False):
    """A delivery that this process may attempt until its lease ends."""

    tenant_id: UUID
    id: UUID
    event_id: UUID
    destination_id: UUID
    attempts: int
    """Made so far."""
    lease: UUID
    lease_ends: float
    """Unix seconds by this process's clock, a little early rather than late."""
    line: int | None = None
    """Whom it must not overtake; `None` where no order is asked for."""


class Attempt(msgspec.Struct, frozen=True):
    """One HTTP exchange of a delivery."""

    id: UUID
    delivery_id: UUID
    number: int
    duration_ms: int
    status: int | None
    error: str | None
    response_headers: list[tuple[str, str]]
    response_body: bytes
    request_headers: list[tuple[str, str]] = []
    """As they were sent; what is secret in them is not."""
    request_body: bytes | None = None
    """Its first 64 KiB, where a transformation made it another than the event's."""


class Delivery(msgspec.Struct, frozen=True):
    """One event on its way to one destination."""

    tenant_id: UUID
    id: UUID
    event_id: UUID
    destination_id: UUID
    state: DeliveryState
    attempts: int
    due_at: datetime | None
    """When the next attempt is due; `None` once it is finished, and while it stands in a line."""
    replay_id: UUID | None
    last_status: int | None
    last_error: str | None
    reason: str | None
    """Class of the dead letter, for those that are one."""
    finished_at: datetime | None
    line: int | None = None
    order_seq: int | None = None
    """Its event's place on the stream."""


class DeliveryDetail(msgspec.Struct, frozen=True):
    """A delivery with all of its attempts, first to last."""

    delivery: Delivery
    attempts: tuple[Attempt, ...]


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries are wanted in a list; all conditions hold together."""

    state: DeliveryState | None = None
    destination_id: UUID | None = None
    event_id: UUID | None = None
    reason: str | None = None
    created_after: datetime | None = None
    """Made at this moment or later."""
    created_before: datetime | None = None


class DeadSummary(msgspec.Struct, frozen=True):
    """How many dead letters there are of what."""

    total: int
    is_capped: bool
    """There are more than were looked at: the newest."""
    reasons: list[tuple[str, int]]
    """Class and count, most first."""
    destinations: list[tuple[UUID, int]]
    """Destination and count, most first."""


ReplayOf = Literal["dead", "delivered", "cancelled", "missed", "all"]
"""What a bulk replay makes again: finished deliveries of one state, or events.

`missed`: events that a destination wants now and has no delivery of. `all`: each event, to whoever
wants it now.
"""

MOST_CHOSEN: Final = 1000
"""Deliveries, or events, that a replay names one by one."""


class ReplayFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a bulk replay makes again; all conditions hold together."""

    state: ReplayOf | None = "dead"
    """`None` for deliveries that are named one by one: whatever they came to."""
    created_after: datetime | None = None
    """Deliveries made, or events received, at this moment or later."""
    created_before: datetime | None = None
    source_id: UUID | None = None
    destination_id: UUID | None = None
    event_types: Annotated[tuple[Pattern, ...], Meta(max_length=100)] = ()
    """Patterns, as for destinations."""
    reason: str | None = None
    """Class of dead letter."""
    last_status: Annotated[int, Meta(ge=100, le=599)] | None = None
    """What the destination answered last."""
    delivery_ids: Annotated[tuple[UUID, ...], Meta(max_length=MOST_CHOSEN)] = ()
    event_ids: Annotated[tuple[UUID, ...], Meta(max_length=MOST_CHOSEN)] = ()
    routed_after: datetime | None = None
    """Events that were stored, or released, at this moment or later: since the destination was
    disabled."""

    @property
    def is_of_events(self) -> bool:
        """Whether it goes by events, and not by deliveries."""
        return self.state in {"missed", "all"}


class Replay(msgspec.Struct, frozen=True):
    """A bulk replay and how far it is."""

    tenant_id: UUID
    id: UUID
    state: ReplayState
    filter: ReplayFilter
    cursor: UUID | None
    """The last delivery, or event, it looked at."""
    matched: int
    """Deliveries made so far."""
    created_at: datetime
    finished_at: datetime | None
    seen: int = 0
    """Deliveries, or events, looked at so far."""
    low: UUID | None = None
    """Where it begins; `None` where there is nothing."""
    mark: int | None = None
    """It begins when all transactions below this number have ended."""
    waits_for: UUID | None = None
    """The destination to which so much waits that no more is made."""


BODY_KEPT: Final = 64 * 1024
"""Bytes of a response that are read and kept."""
