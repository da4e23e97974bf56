"""What is sent and answered about sources."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from crossdock.inbound.model import (
    ContentTypes,
    EventTypeRule,
    Header,
    IndexedFields,
    Label,
    MediaType,
    PauseMode,
    Pointer,
    PublicUrl,
    RatePerMinute,
    Recipe,
    Scheme,
    SourceScheme,
    SourceState,
)
from crossdock.inbound.sources.examples import Example
from crossdock.secrets.rules import MAX_LIVE
from gateway.wire import LiveSecret

Secret = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
OverlapSeconds = Annotated[float, Meta(ge=0, le=604_800)]


class SourceOut(msgspec.Struct, frozen=True, kw_only=True):
    """A source."""

    id: str
    name: str
    preset: str | None
    """The entry of the catalogue that it was made from."""
    scheme: SourceScheme
    """`api` is the one through which the tenant publishes events itself."""
    state: SourceState
    pause_mode: PauseMode | None
    """What it does while it is paused; `null` while it is not."""
    recipe: Recipe
    secrets: list[LiveSecret]
    ingest_url: str | None
    """Where its sender posts to. Whoever knows it may knock; the signature opens. `null` where
    nobody may.
    """
    max_body_bytes: int
    webhooks_per_minute: int | None
    """Its own limit, if it has one; the tenant's holds beside it."""
    content_types: tuple[str, ...]
    """Media types that it takes; empty for all."""
    indexed_fields: tuple[str, ...]
    """JSON pointers to values by which its events are found."""
    encrypts: bool
    """Whether payloads are stored sealed."""
    created_at: datetime
    updated_at: datetime


class SourceWithSecret(SourceOut, frozen=True, kw_only=True):
    """A source with the secret that was generated for it just now."""

    secret: str | None
    """Shown this once; `null` where it was given, or the scheme has none."""


class SourcePage(msgspec.Struct, frozen=True):
    """Sources, newest first."""

    items: list[SourceOut]
    next_cursor: str | None


class SourceCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A source to be made."""

    name: Label
    preset: Annotated[str, Meta(max_length=64)] | None = None
    """An entry of the catalogue: what is not given here is as it says."""
    scheme: Scheme | None = None
    """Needed without a preset."""
    recipe: Recipe = Recipe()
    secrets: Annotated[list[Secret], Meta(max_length=MAX_LIVE)] = []
    """The provider's secrets, the current one first; without any, one is generated."""
    max_body_bytes: Annotated[int, Meta(ge=1)] | None = None
    webhooks_per_minute: RatePerMinute | None = None
    """How many webhooks it takes; the tenant's limit holds beside it."""
    content_types: ContentTypes = ()
    """Media types that it takes, without parameters; all unless given."""
    indexed_fields: IndexedFields = ()
    """JSON pointers to values by which its events are to be found; none where it encrypts."""
    encrypts: bool = False
    """Store payloads sealed with the tenant's key."""
    example: Example | None = None
    """A webhook as the provider sent it: it must verify, or nothing is saved."""
    unchecked: bool = False
    """Save a recipe of the scheme `hmac` of your own without an example."""


class HmacPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of the generic scheme's settings; `null` means the default."""

    signature_header: Header | UnsetType = UNSET
    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] | UnsetType | None = UNSET
    encoding: Literal["hex", "base64"] | UnsetType | None = UNSET
    key_encoding: Literal["raw", "hex", "base64"] | UnsetType | None = UNSET
    prefix: Annotated[str, Meta(max_length=64)] | UnsetType | None = UNSET
    timestamp_header: Header | UnsetType | None = UNSET
    id_header: Header | UnsetType | None = UNSET
    template: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType | None = UNSET


class RecipePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a recipe; `null` means the scheme's own way."""

    tolerance: Annotated[float, Meta(ge=1, le=604_800)] | UnsetType | None = UNSET
    public_url: PublicUrl | UnsetType | None = UNSET
    dedupe: Literal["auto", "none"] | list[Pointer] | UnsetType | None = UNSET
    event_type: EventTypeRule | UnsetType | None = UNSET
    verify_token: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType | None = UNSET
    hmac: HmacPatch | UnsetType | None = UNSET


class SourcePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of a source (RFC 7396): what is left out stays."""

    name: Label | UnsetType = UNSET
    recipe: RecipePatch | UnsetType | None = UNSET
    max_body_bytes: Annotated[int, Meta(ge=1)] | UnsetType | None = UNSET
    webhooks_per_minute: RatePerMinute | UnsetType | None = UNSET
    content_types: Annotated[list[MediaType], Meta(max_length=16)] | UnsetType | None = UNSET
    indexed_fields: Annotated[list[Pointer], Meta(max_length=8)] | UnsetType | None = UNSET
    encrypts: bool | UnsetType | None = UNSET
    example: Example | UnsetType | None = UNSET
    """A webhook that must verify by the recipe that comes of this; it is not kept."""
    unchecked: bool | UnsetType = UNSET
    """Save another recipe of the scheme `hmac` without an example."""


class SecretRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new current secret."""

    secret: Secret | None = None
    """The provider's new secret; where it is left out, one is generated."""
    overlap_s: OverlapSeconds = 86_400.0
    """For how long the old ones verify too: 0 to 7 days."""


class PauseIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to pause."""

    mode: PauseMode = "refuse"
    """`refuse`: senders are answered 403. `buffer`: webhooks are taken, and delivered later."""
