"""What crosses the boundary of webhooks in: sources, and the events they brought."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from crossdock.secrets.model import SealedSecret
from crossdock.tenancy.plans import MAX_RATE

Scheme = Literal[
    "standard",
    "stripe",
    "github",
    "shopify",
    "slack",
    "twilio",
    "zoom",
    "zendesk",
    "square",
    "paddle",
    "linear",
    "hmac",
    "basic",
    "bearer",
    "none",
]
"""How the sender proves who it is; `none` proves nothing and must be chosen by name."""

SourceScheme = Literal[Scheme, "api"]
"""What a source may be of: `api` is the one through which its tenant publishes events itself. It
has no door for others, so no secret and no recipe, and is made when it is first needed.
"""

PauseMode = Literal["refuse", "buffer"]
"""What a paused source does with webhooks: answer 403, or take them and hold them back."""

SourceState = Literal["active", "paused", "disabled", "deleted"]

Header = Annotated[str, Meta(min_length=1, max_length=64)]
Pointer = Annotated[
    str, Meta(max_length=256, pattern="^/", description="A JSON pointer, RFC 6901.")
]
Label = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
"""Text for people: no control characters, not empty."""


RatePerMinute = Annotated[int, Meta(ge=1, le=MAX_RATE)]

PublicUrl = Annotated[str, Meta(max_length=2048, pattern="^https?://")]

MediaType = Annotated[
    str,
    Meta(
        max_length=127,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*$(?!\n)",
        description="A media type without parameters, RFC 6838.",
    ),
]
ContentTypes = Annotated[tuple[MediaType, ...], Meta(max_length=16)]
IndexedFields = Annotated[tuple[Pointer, ...], Meta(max_length=8)]


class HmacRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The generic scheme: what is signed, with what, and where the signature is."""

    signature_header: Header
    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    key_encoding: Literal["raw", "hex", "base64"] = "raw"
    prefix: Annotated[str, Meta(max_length=64)] = ""
    """What stands before the signature in its header, such as `sha256=`."""
    timestamp_header: Header | None = None
    id_header: Header | None = None
    template: Annotated[str, Meta(min_length=1, max_length=256)] = "{body}"
    """What is signed, of `{timestamp}`, `{id}`, `{url}` and `{body}`."""


class EventTypeRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where an event's type is found, where the scheme's own place is not wanted: one of three."""

    header: Header | None = None
    pointer: Pointer | None = None
    fixed: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one source differs from its scheme's ways. No secret is part of it."""

    tolerance: Annotated[float, Meta(ge=1, le=604_800)] | None = None
    """Seconds a timestamp may be off; the scheme's own unless given."""
    public_url: PublicUrl | None = None
    """The URL the sender signs, where it isn't the ingest URL (Twilio, Square)."""
    dedupe: (
        Literal["auto", "none"] | Annotated[tuple[Pointer, ...], Meta(min_length=1, max_length=8)]
    ) = "auto"
    """What tells two events apart: the scheme's way, nothing, or these values of the body."""
    event_type: EventTypeRule | None = None
    verify_token: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    """What a subscription handshake (Meta's `hub.verify_token`) must show; it signs nothing."""
    hmac: HmacRecipe | None = None
    """For the scheme `hmac`, and needed there."""


class SourceEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What its owner can change of a source."""

    name: Label
    recipe: Recipe = Recipe()
    max_body_bytes: Annotated[int, Meta(ge=1)] | None = None
    """The largest body taken; the gateway's own limit unless given, and never more."""
    webhooks_per_minute: RatePerMinute | None = None
    """How many webhooks it takes; no limit of its own unless given."""
    content_types: ContentTypes = ()
    """Media types that it takes; all of them unless given."""
    indexed_fields: IndexedFields = ()
    """JSON pointers to values in payloads, by which its events can be found."""
    encrypts: bool = False
    """Whether payloads are stored sealed with the tenant's key; such a source indexes nothing."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A door for one sender's webhooks."""

    tenant_id: UUID
    id: UUID
    name: str
    scheme: SourceScheme
    state: SourceState
    recipe: Recipe
    secrets: tuple[SealedSecret, ...]
    """Newest first: the first is current, the others end one by one."""
    token_hash: bytes
    token_sealed: bytes
    max_body_bytes: int
    webhooks_per_minute: int | None = None
    version: int
    created_at: datetime
    updated_at: datetime
    preset: str | None = None
    """The entry of the catalogue that it was made from: a label."""
    content_types: tuple[str, ...] = ()
    """In lower case; empty for all."""
    indexed_fields: tuple[str, ...] = ()
    encrypts: bool = False
    buffers: bool = False
    """While it is paused: whether it holds webhooks back, or refuses them."""

    @property
    def pause_mode(self) -> PauseMode | None:
        """What it does with webhooks while it is paused; `None` while it is not."""
        if self.state != "paused":
            return None
        return "buffer" if self.buffers else "refuse"

    def __repr__(self) -> str:
        return f"Source(id={self.id!r}, scheme={self.scheme!r}, state={self.state!r})"


class OpenedSource(msgspec.Struct, frozen=True):
    """A source as its owner sees it: with the token of its ingest URL."""

    source: Source
    token: str
    """Never shown of one of the scheme `api`: it has no door for others."""
    new_secret: str | None = None
    """A secret that was generated just now; never shown again."""

    @property
    def id(self) -> UUID:
        """The source's."""
        return self.source.id

    @property
    def has_door(self) -> bool:
        """Whether senders have an address to post to."""
        return self.source.scheme != "api"

    def __repr__(self) -> str:
        return f"OpenedSource({self.source!r})"


EventStatus = Literal[
    "accepted", "warned", "held", "quarantined", "releasing", "released", "dropped"
]
"""What became of an event.

`accepted` and `warned` are delivered, the second although it breaks its schema. `held`: its source
was paused, and it waits until that is resumed. `quarantined`: it breaks its schema, and waits for
its owner's word; then it is `releasing` and `released`, or `dropped` and never delivered.
"""


DELIVERED: Final[frozenset[EventStatus]] = frozenset({"accepted", "warned", "released"})
"""The statuses of events that are delivered, and announced to consumers; others are kept back."""


class FieldFilter(msgspec.Struct, frozen=True):
    """A value that a payload has at a pointer which its source has indexed."""

    pointer: str
    value: str
    """Unescaped text; of a number, `true` or `false` the letters that stand there."""


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted; all conditions hold together."""

    source_id: UUID | None = None
    event_type: str | None = None
    status: EventStatus | None = None
    received_after: datetime | None = None
    """Received at this moment or later."""
    received_before: datetime | None = None
    payload: tuple[FieldFilter, ...] = ()
    matched: Literal["none"] | None = None
    """`none`: only events that no destination wanted when they were stored, or let go."""


class EventViolation(msgspec.Struct, frozen=True):
    """One thing in which a payload breaks the schema of its event type."""

    pointer: str
    """Where in the payload, RFC 6901; empty for all of it."""
    detail: str


class EventSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An event in a list."""

    id: UUID
    source_id: UUID
    event_type: str
    provider_id: str | None
    content_type: str
    size: int
    """Bytes of its body, as they came."""
    status: EventStatus
    violations: tuple[EventViolation, ...]
    schema_version: int | None
    """The version of the schema it was held to."""
    encrypted: bool
    """Whether its body is stored sealed."""
    matched: int | None = None
    """How many destinations wanted it when it was stored, or let go; `None` for one that is kept
    back, for those of releases that did not count, and where it was not asked for."""


class Event(EventSummary, frozen=True, kw_only=True):
    """One accepted webhook, as it came."""

    traceparent: str
    headers: list[tuple[str, str]]
    body: bytes
