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
    failing_since: datetime | None
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


class Cargo(msgspec.Struct, frozen=True, gc=False):
    """An event as a dispatcher needs it: what is sent, byte for byte, and what goes beside it."""

    event_id: UUID
    content_type: str
    traceparent: str
    body: bytes
    data_key: UUID | None = None
    """The key that sealed the body, which is then opened when it is sent."""


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
    """When the next attempt is due; `None` once it is finished."""
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


class ReplayFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which finished deliveries a bulk replay makes again; all conditions hold together."""

    state: Literal["dead", "delivered", "cancelled"] = "dead"
    created_after: datetime | None = None
    """Deliveries made at this moment or later."""
    created_before: datetime | None = None
    source_id: UUID | None = None
    destination_id: UUID | None = None
    event_types: Annotated[tuple[Pattern, ...], Meta(max_length=100)] = ()
    """Patterns, as for destinations."""
    reason: str | None = None
    """Class of dead letter."""
    last_status: Annotated[int, Meta(ge=100, le=599)] | None = None
    """What the destination answered last."""


class Replay(msgspec.Struct, frozen=True):
    """A bulk replay and how far it is."""

    tenant_id: UUID
    id: UUID
    state: ReplayState
    filter: ReplayFilter
    cursor: UUID | None
    """The last delivery it looked at."""
    matched: int
    """Deliveries made again so far."""
    created_at: datetime
    finished_at: datetime | None
    seen: int = 0
    """Deliveries, or events, looked at so far."""


BODY_KEPT: Final = 64 * 1024
"""Bytes of a response that are read and kept."""
