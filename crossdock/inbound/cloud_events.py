"""What internal consumers get of an event: a CloudEvent 1.0 in NATS' binary mode.

The body is the provider's bytes; what describes it stands in `ce-` headers, the media type too, as
the working draft of the NATS binding has it. `content-type` says the same for everybody else,
unless it would make the message look like one in structured mode. A payload that is sealed, or too
large for a message, stays where it is: `ce-dataref` says where, as the CloudEvents extension of
that name has it. `proto.asyncapi` describes all of this for consumers.
"""

from typing import Final
from uuid import UUID

import msgspec

from crossdock import ids, native
from proto import subjects

UNTYPED: Final = "untyped"
"""`ce-type` where the provider names none: the attribute must not be empty."""

STRUCTURED: Final = "application/cloudevents"
"""How the media type begins of an event that is wholly in its body."""

UNKNOWN_MEDIA_TYPE: Final = "application/octet-stream"


class Announced(msgspec.Struct, frozen=True, gc=False):
    """An event as its announcement needs it."""

    tenant_id: UUID
    source_id: UUID
    event_id: UUID
    stream_seq: int
    """Its place on INGEST, and so in the order of what its shard accepted; 0 where nobody asked."""
    event_type: str
    content_type: str
    traceparent: str
    body: bytes | None
    """`None` where the message only says where it is; see `carried`."""
    provider_id: str | None = None
    status: str = "accepted"
    schema_version: int = 0
    """Of the schema that it was held to; 0 for none."""


def carried(body: bytes, *, is_sealed: bool, most: int) -> bytes | None:
    """Return the body if a message may carry it.

    Args:
        body: as it is stored.
        is_sealed: whether it is encrypted: the broker is no place for the plain one, and the sealed
            one is of no use to anybody.
        most: bytes that a message takes, `gateway.inline_body_bytes`.
    """
    return None if is_sealed or len(body) > most else body


def cloud_event(event: Announced, *, run: str | None = None) -> native.Message:
    """Return the message that announces an event.

    Args:
        event: what is announced.
        run: names a repetition: the message says that it is one, and has an id of its own, for the
            broker would drop a second one of the event's within its window of duplicates.

    Raises:
        ValueError: no message can carry it: one of its labels would break a header.
    """
    tenant = ids.encode("ten", event.tenant_id)
    source = ids.encode("src", event.source_id)
    name = ids.encode("evt", event.event_id)
    headers = [("Nats-Msg-Id", name if run is None else f"{name}.{run}"), *described(event)]
    if run is not None:
        headers.append(("crossdock-republished", "true"))
    return native.Message(
        subjects.event(tenant, source, event.event_type), event.body or b"", headers
    )


def described(event: Announced) -> list[tuple[str, str]]:
    """Return the headers that say what a message's event is."""
    tenant = ids.encode("ten", event.tenant_id)
    source = ids.encode("src", event.source_id)
    name = ids.encode("evt", event.event_id)
    content_type = event.content_type or UNKNOWN_MEDIA_TYPE
    headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", name),
        ("ce-source", f"/tenants/{tenant}/sources/{source}"),
        ("ce-type", event.event_type or UNTYPED),
        ("ce-time", ids.time_of(event.event_id).isoformat().replace("+00:00", "Z")),
        ("ce-datacontenttype", content_type),
        ("traceparent", event.traceparent),
    ]
    if event.stream_seq:
        headers.append(("ce-sequence", str(event.stream_seq)))
    if event.provider_id and event.provider_id.isascii() and event.provider_id.isprintable():
        headers.append(("ce-providerid", event.provider_id))
    if event.status != "accepted":
        headers.append(("ce-status", event.status))
    if event.schema_version:
        headers.append(("ce-schemaversion", str(event.schema_version)))
    if event.body is None:
        headers.append(("ce-dataref", f"/v1/events/{name}/payload"))
    elif not content_type.lower().startswith(STRUCTURED):
        headers.append(("content-type", content_type))
    return headers
