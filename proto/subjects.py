"""Every subject, stream and bucket name, and the one way to build a subject from outside text."""

from typing import Final

INGEST_STREAM: Final = "INGEST"
"""Work queue of accepted webhooks, until a worker has persisted them."""

EVENTS_STREAM: Final = "EVENTS"
"""CloudEvents for internal consumers; limits retention, oldest dropped first."""

POISON_STREAM: Final = "POISON"
"""Messages of INGEST that could not be decoded or break a data rule, each with its reason."""

SOURCES_BUCKET: Final = "SOURCES"
"""Key-value bucket: SHA-256 of an ingest token (hex) -> `proto.settings.SourceSettings`."""

PERSIST_CONSUMER: Final = "persist"
"""Durable pull consumer of INGEST, shared by all `webhooks` workers."""

INGEST_SUBJECTS: Final = "ingest.*"
EVENTS_SUBJECTS: Final = "events.>"
POISON_SUBJECTS: Final = "poison.>"
POISONED_INGEST: Final = "poison.ingest"

_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:/")


def ingest(shard: int) -> str:
    """Return the subject on which gateways publish for the tenants of one shard."""
    return f"ingest.{shard}"


def event(tenant: str, source: str, event_type: str) -> str:
    """Return the subject of one event: `events.{tenant}.{source}.{type}`.

    Dots of the event type stay token separators, so that `events.*.*.invoice.>` works. Everything
    that could reach another subject (wildcards, spaces, control characters, empty tokens) is
    percent-encoded; a missing type is the token `-`.
    """
    return f"events.{tenant}.{source}.{event_type_tokens(event_type)}"


def event_type_tokens(event_type: str) -> str:
    """Return an event type as one or more safe subject tokens."""
    return ".".join(_token(part) for part in event_type.split(".")) if event_type else "-"


def _token(text: str) -> str:
    if not text:
        return "%00"
    return "".join(chr(b) if b in _SAFE else f"%{b:02X}" for b in text.encode())
