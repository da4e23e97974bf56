"""What crosses the boundary of event types."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from crossdock.event_types.compatibility import Difference, Policy

Mode = Literal["off", "warn", "quarantine", "reject"]
"""What becomes of an event whose payload breaks the schema: nobody looks; it is delivered and says
so; it waits for its owner's word; or its sender is told, and it is not taken."""

TypeName = Annotated[
    str,
    Meta(min_length=1, max_length=128, pattern=r"^[\x21-\x29\x2b-\x3d\x3f-\x7e]+$(?!\n)"),
]
"""Visible ASCII characters but `*` and `>`, which stand for many types where one asks for types."""

Description = Annotated[str, Meta(max_length=500)]


class EventTypeEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What its owner can change of an event type, beside its schema."""

    description: Description = ""
    mode: Mode = "off"
    compatibility: Policy = "backward"


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """A type of events."""

    tenant_id: UUID
    id: UUID
    name: str
    description: str
    mode: Mode
    compatibility: Policy
    latest: int
    """The number of its newest schema; 0 while there is none."""
    version: int
    created_at: datetime
    updated_at: datetime


class SchemaVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One schema of an event type."""

    number: int
    schema: str
    """JSON text, as it was given."""
    created_at: datetime

    @property
    def id(self) -> UUID:
        """Its number, for pages."""
        return UUID(int=self.number)


class DetailedType(msgspec.Struct, frozen=True):
    """An event type with its newest schema."""

    event_type: EventType
    schema: str | None


class Breach(msgspec.Struct, frozen=True):
    """A place in which a payload breaks a schema."""

    pointer: str
    """A JSON pointer into the payload; empty for all of it."""
    detail: str


class Example(msgspec.Struct, frozen=True):
    """A stored event that a schema would refuse."""

    event_id: UUID
    violations: tuple[Breach, ...]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A schema held against the newest stored events of its type."""

    looked_at: int
    passed_over: int
    """Events that could not be looked at: large ones, and those whose key is gone."""
    failing: int
    examples: tuple[Example, ...]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of the schema would mean."""

    allowed: bool
    """Whether the type's policy allows it."""
    policy: Policy
    differences: tuple[Difference, ...]
    stored: Trial
