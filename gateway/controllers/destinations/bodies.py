"""What is sent and answered about destinations."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from crossdock.delivery.destinations.credentials import (
    Auth,
    Headers,
    HeaderValue,
    ShownAuth,
)
from crossdock.delivery.destinations.model import (
    BreakerMode,
    DestinationState,
    DisabledReason,
    Hold,
    Kind,
    Label,
    Order,
    Pattern,
    Rate,
    RetryPolicy,
    Signing,
)
from gateway.wire import SOURCE_ID

Url = Annotated[str, Meta(pattern="^https?://", max_length=2048)]
SourceIds = Annotated[
    # The pattern is told, and not checked twice: `body_id` reads ids, at a tenth of what it costs.
    list[Annotated[str, Meta(extra_json_schema={"pattern": SOURCE_ID})]], Meta(max_length=100)
]
EventTypes = Annotated[list[Pattern], Meta(max_length=100)]
TimeoutSeconds = Annotated[float, Meta(ge=1, le=60)]
Filter = Annotated[str, Meta(min_length=1, max_length=4096)]
Script = Annotated[str, Meta(min_length=1, max_length=32_768)]
Concurrency = Annotated[int, Meta(ge=1, le=32_767)]


class DestinationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What only one kind has, `http` nothing of it; `null` means the default."""

    subject: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = UNSET
    """`nats`: what follows `out.{tenant}.`."""
    status: Annotated[int, Meta(ge=200, le=599)] | UnsetType | None = UNSET
    """`inbox`: what it answers; 200 unless given."""
    delay_s: Annotated[float, Meta(ge=0, le=60)] | UnsetType | None = UNSET
    """`inbox`: after how long."""
    failure: Literal["none", "reset", "hang"] | UnsetType | None = UNSET
    """`inbox`: whether it closes the connection, or never answers."""
    fail_first: Annotated[int, Meta(ge=0, le=50)] | UnsetType | None = UNSET
    """`inbox`: so many first attempts of each delivery fail; all of them unless given."""
    bucket: Annotated[str, Meta(min_length=3, max_length=63)] | UnsetType = UNSET
    """`storage`: where objects go."""
    prefix: Annotated[str, Meta(max_length=512)] | UnsetType | None = UNSET
    """`storage`: what their keys begin with."""
    region: Annotated[str, Meta(max_length=64)] | UnsetType | None = UNSET
    """`storage`: `us-east-1` unless given."""
    endpoint: Annotated[str, Meta(max_length=2048)] | UnsetType | None = UNSET
    """`storage`: scheme and host of the service; Amazon's own unless given."""


class SigningKey(msgspec.Struct, frozen=True):
    """What deliveries are signed with, by its id."""

    id: str
    ends_at: datetime | None
    """`null` for the current one."""
    public_key: str | None
    """The `whpk_…` to verify with, of an ed25519 key; `null` for a shared secret, which is shown
    only when it is made."""


class DestinationOut(msgspec.Struct, frozen=True, kw_only=True):
    """A destination."""

    id: str
    name: str
    kind: Kind
    url: str | None
    """Where it is posted to; `null` for other kinds than `http`."""
    settings: DestinationSettings | None
    """What only its kind has; `null` for `http`."""
    state: DestinationState
    disabled_reason: DisabledReason | None
    disabled_at: datetime | None
    """When it was switched off last, even if it has been enabled since: what was missed from then
    on can be replayed."""
    source_ids: list[str]
    """Whose events it gets; empty means those of all sources."""
    event_types: list[str]
    """Patterns of the types it gets, such as `order.*`; empty means all but `crossdock.*`."""
    filter: str | None
    """CEL: which of those it gets."""
    transform: str | None
    """JavaScript: what is made of an event before it is sent."""
    headers: list[str]
    """Names of the headers that are sent beside ours; their values are never shown."""
    auth: ShownAuth | None
    """How it is convinced, without the secrets."""
    signing: Signing
    secrets: list[SigningKey]
    retry: RetryPolicy | None
    """`null` for the default schedule."""
    timeout_s: float
    rate: Rate | None
    """How many attempts in how much time, at most; `null` for no limit."""
    concurrency: int | None
    """Attempts under way at once; `null` for the installation's own limit."""
    order: Order | None
    """`null` where no order is kept."""
    breaker: BreakerMode
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


class DestinationWithSecret(DestinationOut, frozen=True, kw_only=True):
    """A destination with the signing secret that was made for it just now."""

    secret: str | None
    """Shown this once: what the receiver verifies signatures with. `null` where that is a public
    key, which is shown always."""


class DestinationPage(msgspec.Struct, frozen=True):
    """Destinations, newest first."""

    items: list[DestinationOut]
    next_cursor: str | None


class DestinationCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A destination to be made."""

    name: Label
    kind: Kind = "http"
    url: Url | None = None
    """Needed for `http`."""
    settings: DestinationSettings | None = None
    """Needed for `nats` and `storage`."""
    source_ids: SourceIds = []
    event_types: EventTypes = []
    filter: Filter | None = None
    transform: Script | None = None
    headers: Headers = {}
    auth: Auth | None = None
    signing: Signing = "hmac"
    retry: RetryPolicy | None = None
    timeout_s: TimeoutSeconds | None = None
    rate: Rate | None = None
    concurrency: Concurrency | None = None
    order: Order | None = None
    breaker: BreakerMode = "auto"


class RetryPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a retry policy; `null` means the default."""

    delays_s: list[float] | UnsetType | None = UNSET
    base_s: float | UnsetType | None = UNSET
    factor: float | UnsetType | None = UNSET
    cap_s: float | UnsetType | None = UNSET
    count: int | UnsetType | None = UNSET
    max_age_s: float | UnsetType | None = UNSET
    final_statuses: list[int] | UnsetType | None = UNSET


class RatePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a rate."""

    count: Annotated[int, Meta(ge=1, le=100_000)] | UnsetType = UNSET
    per_s: Annotated[float, Meta(ge=1, le=3600)] | UnsetType | None = UNSET


class OrderPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of an order."""

    by: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    hold: Hold | UnsetType | None = UNSET


class DestinationPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a destination (RFC 7396): what is left out stays.

    `auth` is replaced as a whole; a header of `headers` is set, or with `null` removed.
    """

    name: Label | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    settings: DestinationSettings | UnsetType | None = UNSET
    source_ids: SourceIds | UnsetType | None = UNSET
    event_types: EventTypes | UnsetType | None = UNSET
    filter: Filter | UnsetType | None = UNSET
    transform: Script | UnsetType | None = UNSET
    headers: dict[str, HeaderValue | None] | UnsetType | None = UNSET
    auth: Auth | UnsetType | None = UNSET
    retry: RetryPatch | UnsetType | None = UNSET
    timeout_s: TimeoutSeconds | UnsetType | None = UNSET
    rate: RatePatch | UnsetType | None = UNSET
    concurrency: Concurrency | UnsetType | None = UNSET
    order: OrderPatch | UnsetType | None = UNSET
    breaker: BreakerMode | UnsetType | None = UNSET


class SigningSecretRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new signing secret is wanted."""

    overlap_s: Annotated[float, Meta(ge=0, le=604_800)] = 86_400.0
    """For how long deliveries are signed by the old ones too: 0 to 7 days."""
    signing: Signing | None = None
    """Another way to sign from now on; it needs an overlap of 0, for none is signed in both."""
