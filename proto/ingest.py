"""Messages on INGEST: one accepted webhook each, tagged and versioned."""

from typing import Final

import msgspec


class IngestedV1(msgspec.Struct, tag="ingested.v1", array_like=True, frozen=True):
    """One webhook that was answered, or is about to be answered, with 202.

    Encoded as a MessagePack array whose first element is the tag. New fields go to the end, with a
    default, so that both colours of a rolling deployment read each other's messages.
    """

    event_id: bytes
    """UUIDv7, 16 bytes, made by the gateway; also the message's `Nats-Msg-Id`."""
    tenant_id: bytes
    source_id: bytes
    event_type: str
    """At most 128 printable ASCII characters; empty when the provider names none."""
    dedupe: bytes | None
    """16 bytes; `None` when the source chose no deduplication."""
    provider_id: str | None
    """The provider's own id, a label of at most 255 characters."""
    content_type: str
    headers: list[tuple[str, str]]
    """Request headers worth keeping, lower-case names; never credentials or signatures."""
    traceparent: str
    """W3C Trace Context of the ingest span."""
    body: bytes
    """The provider's bytes, untouched; sealed where `data_key` says so, empty where `claim` is."""
    status: str = ""
    """What becomes of it: empty to deliver it, or `warned`, `quarantined` or `held`."""
    violation: str = ""
    """What its schema said: JSON, `[{"pointer", "detail"}]`."""
    schema_version: int = 0
    """The version of the schema that it was held to; 0 for none."""
    data_key: bytes | None = None
    """The id of the key that sealed its body (`payload_keys`), 16 bytes."""
    fields: list[bytes] = []
    """Hashes of values that its source has indexed, 16 bytes each (`event_fields`)."""
    claim: str = ""
    """The object of the bucket `BODIES` that holds its body, where that is too large for here."""


Ingested = IngestedV1
"""Every version a worker of this release reads."""

encoder: Final = msgspec.msgpack.Encoder()
decoder: Final = msgspec.msgpack.Decoder(Ingested)
