"""What crosses the boundary of breakers; the shape of what is shared about them, too."""

from collections.abc import Callable
from hashlib import blake2s
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

State = Literal["closed", "open", "half-open"]

Mode = Literal["auto", "open", "off"]
"""Judged by what calls come to; forced open by hand; never open."""

Outcome = Literal["good", "bad", "none"]
"""What a call says of whom it called: it works, it doesn't, or nothing at all."""

Why = Literal["failure-rate", "slow-calls", "consecutive", "probe", "probed"]
"""What made it open (the first four) or close: a probe that failed, or enough that didn't."""

Purpose = Literal["destination", "connection"]

_DIGEST_BYTES: Final = 8


class Scope(msgspec.Struct, frozen=True):
    """What is judged as one: a tenant's destination or connection, at a host.

    With another host it is another scope: what was known of the old one says nothing of it.
    """

    key: str
    """Names it in the bucket; made of nothing that needs escaping."""
    tenant_id: UUID
    subject_id: UUID
    host: str


def scope(purpose: Purpose, tenant_id: UUID, subject_id: UUID, host: str) -> Scope:
    """Return the scope of a tenant's destination or connection at a host, which is any text."""
    digest = blake2s(host.lower().encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES)
    key = f"{purpose[0]}.{tenant_id.hex}.{subject_id.hex}.{digest.hexdigest()}"
    return Scope(key, tenant_id, subject_id, host)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """When a breaker opens, for how long, and who tries again."""

    window_s: float = 30.0
    """Calls are counted over so long; the window begins with a first failure."""
    least: int = 20
    """Calls in a window below which no rate is taken."""
    failure_rate: float = 0.5
    slow_s: float = 10.0
    """A call that takes this long is a slow one, whatever came of it."""
    slow_rate: float = 0.8
    consecutive: int = 5
    """Failures in a row that open it, however few calls there are."""
    first_rest_s: float = 5.0
    longest_rest_s: float = 300.0
    jitter: float = 0.2
    """A rest is up to this much longer than its nominal length, so that returns spread out."""
    probes: int = 1
    """Calls under way at once while half-open, in all processes together."""
    closes_after: int = 1
    """Probes that must do well."""
    host_tenants: int | None = None
    """So many tenants with an open breaker at one host open it for all; `None`: it never does."""


class Ticket(msgspec.Struct, frozen=True):
    """Leave to make one call, to be handed in with what came of it."""

    scope: Scope
    epoch: int
    """Of the breaker, when the call began: what it says of a later one is of no interest."""
    is_probe: bool = False
    slot: int = 0
    revision: int | None = None
    """Of a probe's permit in the bucket; `None` where it was given by this process alone."""


class Change(msgspec.Struct, frozen=True):
    """A breaker opened, or closed: for the log, for alerts and for whoever holds work back."""

    key: str
    tenant_id: UUID
    subject_id: UUID
    state: State
    why: Why
    epoch: int
    rest_s: float
    """For how long it is left alone; 0 for one that closed."""
    calls: int
    failed: int
    """Of the calls in the window that was looked at."""
    is_ours: bool
    """It happened here; the others are heard of from another process."""


class Paused(msgspec.Struct, frozen=True):
    """Whom it asked for is to be left alone by all: it said so itself (`Retry-After`)."""

    tenant_id: UUID
    subject_id: UUID
    for_s: float


Heard = Callable[[Change], None]


Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0, le=10_000_000)]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A breaker's state, as processes tell each other."""

    state: Literal["open", "closed"]
    """Half-open is what an open one is once its rest is over."""
    epoch: Count
    """Grows with each change of the state; the highest is the truth."""
    at: float
    """When it changed: unix seconds by the clock of who says so."""
    why: Why
    rest_s: Seconds = 0.0
    opens: Count = 0
    """How often it opened without closing in between: its rests grow with that."""
    good: Count = 0
    """Probes that did well since it opened."""
    calls: Count = 0
    failed: Count = 0


class Pause(msgspec.Struct, frozen=True):
    """A pause, as processes tell each other."""

    at: float
    for_s: Seconds


class View(msgspec.Struct, frozen=True):
    """A breaker as it looks from here."""

    state: State
    since: float | None
    """Unix seconds; `None` where nothing is known of it: it is closed."""
    until: float | None
    """Unix seconds, of one that is open."""
    calls: int
    failed: int
    paused_until: float | None
