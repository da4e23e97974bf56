"""Rules of event types: what a schema must be, and what may become of one. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from crossdock import native
from crossdock.errors import Incompatible, Invalid, Violation
from crossdock.event_types.compatibility import Difference, Policy, against, compare
from crossdock.event_types.model import Breach, EventType, EventTypeEdit, Example, Trial

MAX_TYPES: Final = 1000
"""Event types of one tenant."""
MAX_SCHEMA_BYTES: Final = 64 * 1024
MAX_WEIGHT: Final = 80 * 1024**2
"""Of the schemas in force of one tenant, in bytes: about what they take in each gateway process."""
KEPT_VERSIONS: Final = 100
"""Of one event type, the newest."""

SAMPLE: Final = 100
"""Stored events that a new schema is held against, at most."""
SAMPLE_BYTES: Final = 4 * 1024**2
"""Bytes of them, at most."""
EXAMPLES: Final = 5


def compiled(schema: bytes) -> native.Schema:
    """Return a schema, compiled.

    Raises:
        Invalid: it is not one that payloads can be held to; the pointer leads into it.
    """
    if len(schema) > MAX_SCHEMA_BYTES:
        words = f"A schema has {MAX_SCHEMA_BYTES // 1024} KiB at most."
        raise Invalid(None, Violation("/schema", words))
    try:
        return native.Schema(schema)
    except native.SchemaError as error:
        place, reason = error.args
        raise Invalid(None, Violation(f"/schema{place}", _sentence(reason))) from error


def check_mode(edit: EventTypeEdit, *, has_schema: bool) -> None:
    """Check that there is something to hold payloads to, where they are to be.

    Raises:
        Invalid: there is not.
    """
    if edit.mode != "off" and not has_schema:
        raise Invalid(None, Violation("/mode", "Without a schema there is nothing to check."))


def check_change(old: str, new: str, policy: Policy) -> None:
    """Check that a policy allows a change of the schema.

    Raises:
        Incompatible: it does not; the violations say where and why.
    """
    refused = against(compare(old, new), policy) if policy != "none" else []
    if refused:
        raise Incompatible(None, *(_violation(one) for one in refused))


def editable(event_type: EventType) -> EventTypeEdit:
    """Return the part of an event type that its owner can change, beside its schema."""
    return EventTypeEdit(
        description=event_type.description,
        mode=event_type.mode,
        compatibility=event_type.compatibility,
    )


def breaches(schema: native.Schema, body: bytes) -> tuple[Breach, ...]:
    """Return where a payload breaks a schema; of many places some."""
    return tuple(Breach(place, detail) for place, detail in schema.validate(body))


def sample(sizes: Iterable[tuple[UUID, int]]) -> list[UUID]:
    """Return the events to look at: those that fit together into the sample's bytes."""
    chosen, left = [], SAMPLE_BYTES
    for event_id, size in sizes:
        if size <= left:
            chosen.append(event_id)
            left -= size
    return chosen


def tried(schema: native.Schema, bodies: Mapping[UUID, bytes], stored: int) -> Trial:
    """Return what a schema says of stored events, newest first.

    Args:
        schema: the new one.
        bodies: those that could be read, by their ids.
        stored: how many there were to look at.
    """
    failing = [
        Example(event_id, found)
        for event_id in sorted(bodies, reverse=True)
        if (found := breaches(schema, bodies[event_id]))
    ]
    return Trial(
        looked_at=len(bodies),
        passed_over=stored - len(bodies),
        failing=len(failing),
        examples=tuple(failing[:EXAMPLES]),
    )


def _violation(difference: Difference) -> Violation:
    return Violation(f"/schema{difference.pointer}", difference.detail)


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}{'' if reason.endswith('.') else '.'}"
