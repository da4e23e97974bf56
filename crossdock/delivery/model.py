"""What crosses the boundary of the delivery domain; the stored shapes of its JSON columns too."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from crossdock.secrets.model import SealedSecret

DestinationState = Literal["enabled", "disabled"]
DeliveryState = Literal["pending", "delivered", "dead", "cancelled", "replayed"]
ReplayState = Literal["running", "done", "cancelled"]

DisabledReason = Literal["by_owner", "gone", "failing"]
"""Switched off by its owner; it answered 410; it failed for five days."""

DeadReason = Literal[
    "attempts_exhausted",
    "too_old",
    "rejected",
    "gone",
    "destination_deleted",
    "event_missing",
    "payload_shredded",
    "payload_unreadable",
]
"""Class of a dead letter: what would have to change for a replay to succeed."""

FailureKind = Literal["connect", "tls", "timeout", "read", "refused", "odd", "internal"]
"""Why an attempt has no answer.

`refused` is our own guard's word, `odd` an answer that isn't HTTP, `internal` a fault on our side.
"""


class RetryPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a failed delivery is tried again: a list of waits, or base, factor, cap and count."""

    delays_s: tuple[float, ...] | None = None
    base_s: float | None = None
    factor: float | None = None
    cap_s: float | None = None
    """The longest single wait; a `Retry-After` is obeyed up to here."""
    count: int | None = None
    """Retries after the first attempt."""
    max_age_s: float | None = None
    """No attempt later than this after the delivery was made."""
    final_statuses: tuple[int, ...] = ()
    """Client errors (4xx) that this destination means for good."""


Label = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
"""Text for people: no control characters, not empty."""
Pattern = Annotated[
    str, Meta(min_length=1, max_length=128, extra_json_schema={"pattern": "^[!-~]+$"})
]
"""An event type; `*` in it stands for any text. Its letters are checked by `rules.check_types`: a
regular expression a type would cost more than all else about a request's body."""


class DestinationEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What its owner can change of a destination."""

    name: Label
    url: Annotated[str, Meta(max_length=2048)]
    source_ids: Annotated[tuple[UUID, ...], Meta(max_length=100)] = ()
    """Empty: all of the tenant's sources."""
    event_types: Annotated[tuple[Pattern, ...], Meta(max_length=100)] = ()
    """Empty: all types."""
    retry: RetryPolicy | None = None
    """The default schedule unless given."""
    timeout_s: Annotated[float, Meta(ge=1, le=60)] | None = None
    """The longest an answer may take; the installation's own limit unless given."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's HTTP endpoint."""

    tenant_id: UUID
    id: UUID
    name: str
    url: str
    state: DestinationState
    disabled_reason: DisabledReason | None
    source_ids: tuple[UUID, ...]
    event_types: tuple[str, ...]
    secrets: tuple[SealedSecret, ...]
    """Newest first: the first is current, the others end one by one."""
    retry: RetryPolicy | None
    timeout_s: float
    failing_since: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime

    def __repr__(self) -> str:
        return f"Destination(id={self.id!r}, state={self.state!r}, version={self.version})"


class OpenedDestination(msgspec.Struct, frozen=True):
    """A destination, and its new signing secret where one was made just now: shown once."""

    destination: Destination
    new_secret: str | None = None

    def __repr__(self) -> str:
        return f"OpenedDestination({self.destination!r})"


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


BODY_KEPT: Final = 64 * 1024
"""Bytes of a response that are read and kept."""
