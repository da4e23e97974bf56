"""What crosses the boundary of alerts; the stored shape of a tenant's wishes too."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

AlertKind = Literal[
    "quota",
    "destination_failing",
    "destination_disabled",
    "dead_letters",
    "source_refusing",
    "test",
]
"""What sorts of alerts there are; `test` is raised by hand."""

Watched = Literal["destination_failing", "destination_disabled", "dead_letters", "source_refusing"]
"""Those that a duty raises from what is in the database, and resolves by itself."""

OF_DESTINATIONS: Final[tuple[Watched, ...]] = (
    "destination_failing",
    "destination_disabled",
    "dead_letters",
)
OF_SOURCES: Final[tuple[Watched, ...]] = ("source_refusing",)

MAX_EMAILS: Final = 10


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a tenant should know without looking."""

    tenant_id: UUID
    id: UUID
    kind: str
    """What sort of thing, for example `quota`."""
    subject: str
    """Of what, for example `sources`, or the id of a destination."""
    level: int
    """How far it has gone; of quotas, per cent, of all others 1."""
    period: str
    """The day it is about, for example `2026-11-23`, or the moment it began; empty for neither."""
    detail: dict[str, Any]
    created_at: datetime
    resolved_at: datetime | None
    """When it had passed; `None` while it has not."""


class Owner(msgspec.Struct, frozen=True):
    """Whom alerts are told to."""

    email: str
    tenant: str
    """The tenant's name."""


class AlertEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tenant wants to be told of, from when on, and whom: what it can change."""

    emails: Annotated[
        tuple[Annotated[str, Meta(min_length=3, max_length=254)], ...], Meta(max_length=MAX_EMAILS)
    ] = ()
    """Who gets letters beside the owners."""
    muted: Annotated[tuple[AlertKind, ...], Meta(max_length=6)] = ()
    """Kinds that are listed, and told to nobody."""
    failing_after_s: Annotated[int, Meta(ge=60, le=432_000)] = 600
    """For how long a destination must have failed."""
    dead_letters_per_hour: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """From so many of one destination on."""
    refusals_per_hour: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    """From so many of one source on."""


class AlertSettings(msgspec.Struct, frozen=True):
    """The same with its version; 1 where the tenant never changed the defaults."""

    edit: AlertEdit
    version: int
    updated_at: datetime | None = None


class Tried(msgspec.Struct, frozen=True):
    """A test alert, and whom it will reach."""

    alert: Alert
    letters: int
    destinations: int
    """Those that name types beginning with `crossdock.`, and take deliveries."""
