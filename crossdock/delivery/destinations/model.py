"""What crosses the boundary of destinations; the stored shapes of their JSON columns too."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from crossdock.delivery.destinations.credentials import Auth, Headers, ShownAuth
from crossdock.secrets.model import SealedSecret

DestinationState = Literal["enabled", "disabled"]

DisabledReason = Literal["by_owner", "gone", "failing"]
"""Switched off by its owner; it answered 410; it failed for five days."""

Kind = Literal["http", "nats", "inbox", "storage"]
"""How events get there: a POST, a message on NATS, a row to look at, an object in a bucket."""

Signing = Literal["hmac", "ed25519"]
"""What signs: a `whsec_…` shared with the receiver, or a `whsk_…` whose `whpk_…` it is given."""

Hold = Literal["until_dead", "until_delivered"]
"""For how long a failed head holds its line: until it is given up, or whatever happens."""

BreakerMode = Literal["auto", "open", "off"]
"""Judged by what calls come to; forced open by hand; never open."""


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


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many attempts in so much time, at most."""

    count: Annotated[int, Meta(ge=1, le=100_000)]
    per_s: Annotated[float, Meta(ge=1, le=3600)] = 1.0


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Deliveries of one key go one after another, in the order in which their events came in."""

    by: Annotated[str, Meta(min_length=1, max_length=200)]
    """`source`, or a JSON pointer (RFC 6901) into the payload. An event without it has no order."""
    hold: Hold = "until_dead"


class NatsSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="nats", tag_field="kind"
):
    """Where on NATS."""

    subject: Annotated[str, Meta(min_length=1, max_length=128)]
    """What follows `out.{tenant}.`."""


class InboxSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="inbox", tag_field="kind"
):
    """How an inbox behaves: well, or like a receiver in trouble."""

    status: Annotated[int, Meta(ge=200, le=599)] = 200
    delay_s: Annotated[float, Meta(ge=0, le=60)] = 0.0
    failure: Literal["none", "reset", "hang"] = "none"
    fail_first: Annotated[int, Meta(ge=0, le=50)] | None = None
    """The status or failure is for so many first attempts of each delivery; `None` for all."""


class StorageSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="storage", tag_field="kind"
):
    """A bucket that speaks S3's protocol."""

    bucket: Annotated[str, Meta(min_length=3, max_length=63)]
    prefix: Annotated[str, Meta(max_length=512)] = ""
    region: Annotated[str, Meta(max_length=64)] = "us-east-1"
    endpoint: Annotated[str, Meta(max_length=2048)] | None = None
    """Amazon's own unless given."""


Settings = NatsSettings | InboxSettings | StorageSettings
"""What only one kind has; an HTTP destination has its URL, and no more."""


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
    url: Annotated[str, Meta(max_length=2048)] = ""
    """Only of the kind `http`."""
    source_ids: Annotated[tuple[UUID, ...], Meta(max_length=100)] = ()
    """Empty: all of the tenant's sources."""
    event_types: Annotated[tuple[Pattern, ...], Meta(max_length=100)] = ()
    """Empty: all types."""
    retry: RetryPolicy | None = None
    """The default schedule unless given."""
    timeout_s: Annotated[float, Meta(ge=1, le=60)] | None = None
    """The longest an answer may take; the installation's own limit unless given."""
    settings: Settings | None = None
    headers: Headers = {}
    """Sent beside ours, by names in lower case."""
    auth: Auth | None = None
    filter: str | None = None
    """CEL: which of the events that fit otherwise it gets."""
    transform: str | None = None
    """JavaScript: what is made of an event before it is sent."""
    rate: Rate | None = None
    concurrency: Annotated[int, Meta(ge=1, le=32_767)] | None = None
    """Attempts under way at once; the installation's own limit unless given."""
    order: Order | None = None
    breaker: BreakerMode = "auto"

    def __repr__(self) -> str:
        return f"DestinationEdit(name={self.name!r})"


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """A place that a tenant's events are delivered to."""

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
    kind: Kind = "http"
    settings: Settings | None = None
    credentials: SealedSecret | None = None
    """Sealed: what it is called with, see `crossdock.delivery.destinations.credentials`."""
    filter: str | None = None
    transform: str | None = None
    signing: Signing = "hmac"
    rate: Rate | None = None
    concurrency: int | None = None
    order: Order | None = None
    breaker: BreakerMode = "auto"
    disabled_at: datetime | None = None
    """When it was switched off last; that stays when it is enabled again."""

    @property
    def order_by(self) -> str | None:
        """What orders its deliveries, if they are to be in order."""
        return None if self.order is None else self.order.by

    def __repr__(self) -> str:
        return f"Destination(id={self.id!r}, state={self.state!r}, version={self.version})"


class OpenedDestination(msgspec.Struct, frozen=True):
    """A destination, and its new signing secret where one was made just now: shown once."""

    destination: Destination
    new_secret: str | None = None

    def __repr__(self) -> str:
        return f"OpenedDestination({self.destination!r})"


class Visible(msgspec.Struct, frozen=True):
    """What may be seen of a destination's sealed parts."""

    auth: ShownAuth | None
    header_names: tuple[str, ...]
    public_keys: dict[str, str]
    """The `whpk_…` of each secret that is an ed25519 key, by the secret's id."""
