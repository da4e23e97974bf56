"""What is simulated, and what is told of it."""

from typing import Literal
from uuid import UUID

import msgspec

from crossdock.inbound.model import Source
from crossdock.inbound.sources.examples import Pasted
from crossdock.routing.model import Why

StepName = Literal["verify", "validate", "match", "transform", "deliver"]
Outcome = Literal["passed", "failed", "skipped"]
MOST_DESTINATIONS = 5
"""So many get a delivery that was asked for."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent through the steps: one of these."""

    sample: str | None = None
    """The name of one of the samples of the source's preset."""
    event_id: UUID | None = None
    """An event that is stored; its signature is not, so it is signed anew."""
    request: Pasted | None = None
    """A request as somebody pasted it."""


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook, as the first step gets it."""

    source: Source
    secrets: tuple[str, ...]
    request: Pasted
    content_type: str
    now: float
    """The receiver's clock, in unix seconds."""
    event_id: UUID
    """What it would be delivered under."""
    note: str = ""
    """What should be known of its verification."""
    published_as: str = ""
    """Its type, where the tenant published it and nothing of it is signed."""


class Violated(msgspec.Struct, frozen=True):
    """In what a payload breaks its schema."""

    pointer: str
    detail: str


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A destination that would get it, and what it answered if it was asked."""

    destination_id: UUID
    name: str
    status: int | None = None
    duration_ms: int | None = None
    error: str | None = None


class Unwanting(msgspec.Struct, frozen=True):
    """A destination that would not get it."""

    destination_id: UUID
    name: str
    why_not: Why
    detail: str | None
    """Of a filter that could not be judged: what went wrong."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one step."""

    name: StepName
    outcome: Outcome
    detail: str
    event_type: str | None = None
    """Of `verify`: the type that was read off."""
    provider_id: str | None = None
    """Of `verify`: the provider's own id."""
    violations: tuple[Violated, ...] = ()
    """Of `validate`."""
    destinations: tuple[Delivered, ...] = ()
    """Of `match`, `transform` and `deliver`."""
    unwanting: tuple[Unwanting, ...] = ()
    """Of `match`: the other enabled ones."""


class Simulated(msgspec.Struct, frozen=True):
    """All steps, in their order."""

    steps: tuple[Step, ...]
