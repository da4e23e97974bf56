"""An alert as an event: the same each time it is made, so that a repeat is known as one. Pure."""

import hashlib
from typing import Final
from uuid import UUID

import msgspec

from crossdock import ids, native
from crossdock.alerts.model import Alert
from crossdock.alerts.telling.model import AlertPayload, Phase
from crossdock.inbound.model import Source
from crossdock.inbound.publish.rules import DEDUPE_BYTES, RESERVED, traceparent
from proto.ingest import IngestedV1

ABOUT: Final = "crossdock-about"
"""The header that names what an alert is about: the destination of that id never gets it."""

_KEY: Final = b"crossdock:alert\0"
_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
_CHANCE: Final = ((1 << 12) - 1) << 64 | (1 << 62) - 1
"""The bits of a UUIDv7 that are neither its time nor its form."""


def event_type(phase: Phase) -> str:
    """Return the type of the event that tells of a phase."""
    return f"{RESERVED}alert.{phase}"


def event_id(alert: Alert, phase: Phase) -> UUID:
    """Return the event's id: as old as what it tells of, and else by the alert alone."""
    moment = alert.created_at if phase == "raised" else alert.resolved_at or alert.created_at
    chance = int.from_bytes(_digest(alert, phase)[:16]) & _CHANCE
    return UUID(int=ids.floor(moment).int | _VERSION | _VARIANT | chance)


def payload(alert: Alert, phase: Phase) -> bytes:
    """Return the event's payload: of an alert that has passed since, too, as it was."""
    is_over = phase == "resolved"
    detail = (
        alert.detail
        if is_over
        else {name: value for name, value in alert.detail.items() if name != "resolved_because"}
    )
    return msgspec.json.encode(
        AlertPayload(
            id=ids.encode("alt", alert.id),
            kind=alert.kind,
            subject=alert.subject,
            name=str(alert.detail.get("name", alert.subject)),
            level=alert.level,
            period=alert.period or None,
            state="resolved" if is_over else "open",
            detail=detail,
            created_at=alert.created_at,
            resolved_at=alert.resolved_at if is_over else None,
        )
    )


def message(alert: Alert, phase: Phase, source: Source) -> IngestedV1:
    """Return the event as the stream INGEST has it, with its payload in the clear.

    No schema is asked: what the tenant has one for is its own types.
    """
    made, body = event_id(alert, phase), payload(alert, phase)
    fields = native.Fields(list(source.indexed_fields)) if source.indexed_fields else None
    return IngestedV1(
        event_id=made.bytes,
        tenant_id=alert.tenant_id.bytes,
        source_id=source.id.bytes,
        event_type=event_type(phase),
        dedupe=_digest(alert, phase)[:DEDUPE_BYTES],
        provider_id=f"{ids.encode('alt', alert.id)}.{phase}",
        content_type="application/json",
        headers=[(ABOUT, alert.subject)],
        traceparent=traceparent(made),
        body=body,
        status="held" if source.pause_mode == "buffer" else "",
        fields=[] if fields is None else fields.keys(body),
    )


def takes(source: Source) -> bool:
    """Tell whether a tenant's own source takes anything at the moment."""
    return source.state == "active" or source.pause_mode == "buffer"


def _digest(alert: Alert, phase: Phase) -> bytes:
    return hashlib.sha256(_KEY + phase.encode() + alert.id.bytes).digest()
