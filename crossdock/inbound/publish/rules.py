"""Rules of publishing: what is refused, and what becomes of what is taken. Pure."""

import hashlib
import math
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from crossdock import ids, native
from crossdock.errors import (
    Invalid,
    NotFound,
    Refused,
    SchemaViolated,
    TenantSuspended,
    TooLarge,
    TooManyRequests,
    UnsupportedMediaType,
    Violation,
)
from crossdock.inbound.model import EventViolation, Source
from crossdock.inbound.publish.model import OwnEvent, SourceDisabled, SourcePaused
from crossdock.tenancy import plans
from crossdock.tenancy.model import Tenant
from proto.ingest import IngestedV1
from proto.settings import SourceSettings, TenantSettings

DEDUPE_BYTES: Final = 16
LONGEST_WAIT_S: Final = 86_400.0
"""Quotas begin anew each day."""

RESERVED: Final = "crossdock."
"""How the types of events begin that tell of alerts: no tenant's own."""

_OWN: Final = b"crossdock:own\0"

_INACTIVE: Final[dict[str, type[Refused]]] = {"paused": SourcePaused, "disabled": SourceDisabled}


class Judged(NamedTuple):
    """What the schema of its type says of an event."""

    status: str = ""
    """As `IngestedV1.status`."""
    violation: str = ""
    schema_version: int = 0


def settings_of(tenant: Tenant) -> TenantSettings:
    """Return what matters here of a tenant."""
    blocked = tenant.blocked_until
    return TenantSettings(
        version=tenant.version,
        tenant_id=tenant.id.bytes,
        shard=tenant.shard,
        state=tenant.state,
        plan=tenant.plan,
        quotas=dict(tenant.quotas),
        blocked_until=0.0 if blocked is None else blocked.timestamp(),
    )


def source_settings(source: Source, tenant: TenantSettings) -> SourceSettings:
    """Return what holds for webhooks of a tenant's own source."""
    holds = source.pause_mode == "buffer"
    return SourceSettings(
        version=source.version,
        tenant_id=tenant.tenant_id,
        source_id=source.id.bytes,
        shard=tenant.shard,
        tenant_state=tenant.state,
        source_state="active" if holds else source.state,
        max_body_bytes=source.max_body_bytes,
        blocked_until=tenant.blocked_until,
        webhooks_per_minute=source.webhooks_per_minute or 0,
        tenant_webhooks_per_minute=plans.rate(tenant.plan, tenant.quotas, "webhooks_per_minute")
        or 0,
        content_types=source.content_types,
        holds=holds,
        indexed=source.indexed_fields,
    )


def dedupe(own_id: str) -> bytes:
    """Return what copies of one event share within their source."""
    return hashlib.sha256(_OWN + own_id.encode()).digest()[:DEDUPE_BYTES]


def check_open(settings: SourceSettings, now: float) -> None:
    """Check that a source takes anything at the moment; `now` is in unix seconds.

    Raises:
        TenantSuspended: its tenant is not active.
        SourcePaused: it is paused, and keeps nothing meanwhile.
        SourceDisabled: it is disabled.
        TooManyRequests: the tenant's quota for today is used up.
    """
    if settings.tenant_state != "active":
        raise TenantSuspended
    if settings.source_state != "active":
        raise _INACTIVE.get(settings.source_state, NotFound)
    left_s = settings.blocked_until - now
    if left_s > 0:
        wait = math.ceil(min(left_s, LONGEST_WAIT_S))
        raise TooManyRequests("This tenant's quota for today is used up.", retry_after_s=wait)


def check(event: OwnEvent, settings: SourceSettings, most_bytes: int) -> None:
    """Check an event against its source.

    Args:
        event: the event.
        settings: the source's.
        most_bytes: what the installation takes at most.

    Raises:
        Invalid: it names another source, or its type is none of the tenant's.
        TooLarge: the source takes nothing so large.
        UnsupportedMediaType: the source takes bodies of other types.
    """
    if event.event_type.startswith(RESERVED):
        words = f"Types that begin with {RESERVED} are Crossdock's own."
        raise Invalid(None, Violation("/event_type", words))
    if event.source_id is not None and event.source_id.bytes != settings.source_id:
        own = ids.encode("src", UUID(bytes=settings.source_id))
        words = f"Events are published through {own}, the source of the scheme api."
        raise Invalid(None, Violation("/source_id", words))
    limit = settings.max_body_bytes
    limit = limit if 0 < limit <= most_bytes else most_bytes
    if len(event.body) > limit:
        raise TooLarge(f"A payload has at most {limit} bytes here.")
    media_type = event.content_type.partition(";")[0].strip().lower()
    if settings.content_types and media_type not in settings.content_types:
        words = f"This source takes {', '.join(settings.content_types)}."
        raise UnsupportedMediaType(words, Violation("/content_type", words))


def judge(
    event: OwnEvent, schemas: native.Schemas | None, *, holds: bool, quotes: bool = True
) -> Judged:
    """Hold an event to the schema of its type.

    Args:
        event: the event.
        schemas: the tenant's.
        holds: whether its source is paused, and keeps what comes.
        quotes: whether what is wrong may be told in words of the payload: not where it is sealed.

    Raises:
        SchemaViolated: the schema refuses it.
    """
    held = "held" if holds else ""
    known = None if schemas is None else schemas.get(event.event_type)
    if known is None or known[0] == "off":
        return Judged(held)
    mode, number, schema = known
    found = schema.validate(event.body, quotes=quotes)
    if not found:
        return Judged(held, "", number)
    if mode == "reject":
        words = f"The payload breaks the schema of {event.event_type}."
        raise SchemaViolated(words, *(Violation(event.pointer + at, why) for at, why in found))
    status = "quarantined" if mode == "quarantine" else held or "warned"
    return Judged(status, _written(found), number)


def _written(found: Sequence[tuple[str, str]]) -> str:
    return msgspec.json.encode([EventViolation(*one) for one in found]).decode()


def message(
    event: OwnEvent,
    event_id: UUID,
    settings: SourceSettings,
    judged: Judged,
    fields: native.Fields | None = None,
) -> IngestedV1:
    """Return an event as the stream INGEST has it, with its body as it came."""
    return IngestedV1(
        event_id=event_id.bytes,
        tenant_id=settings.tenant_id,
        source_id=settings.source_id,
        event_type=event.event_type,
        dedupe=dedupe(event.id),
        provider_id=event.id,
        content_type=event.content_type,
        headers=[],
        traceparent=traceparent(event_id),
        body=event.body,
        status=judged.status,
        violation=judged.violation,
        schema_version=judged.schema_version,
        fields=[] if fields is None else fields.keys(event.body),
    )


def traceparent(event_id: UUID) -> str:
    """Return the trace that begins with an event: of its own, and nobody asked to sample it."""
    return f"00-{event_id.hex}-{event_id.hex[16:]}-00"
