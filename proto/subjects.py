"""Every subject, stream and bucket name, and the one way to build a subject from outside text."""

from typing import Final

INGEST_STREAM: Final = "INGEST"
"""Accepted webhooks, until a worker has persisted them."""

EVENTS_STREAM: Final = "EVENTS"
"""CloudEvents for internal consumers; limits retention, oldest dropped first."""

OUT_STREAM: Final = "OUT"
"""Events delivered to tenants' destinations on NATS; limits retention, oldest dropped first."""

POISON_STREAM: Final = "POISON"
"""Messages of INGEST that could not be decoded or break a data rule, each with its reason."""

_SETTINGS: Final = "SETTINGS_"

BODIES_BUCKET: Final = "BODIES"
"""Object store of bodies too large for a message, until they are persisted; named by event ids."""

ANSWERS_BUCKET: Final = "ANSWERS"
"""Answers to requests with an idempotency key, sealed, for some minutes."""

_BREAKERS: Final = "BREAKERS_"

INGEST_SUBJECTS: Final = "ingest.*"
EVENTS_SUBJECTS: Final = "events.>"
OUT_SUBJECTS: Final = "out.>"
POISON_SUBJECTS: Final = "poison.>"
POISONED_INGEST: Final = "poison.ingest"

LIMITS_SUBJECTS: Final = "crossdock.limits.*"
"""What gateways' nodes counted against limits, told on core NATS: nothing keeps it."""

_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:/")


def ingest(shard: int) -> str:
    """Return the subject on which gateways publish for the tenants of one shard."""
    return f"ingest.{shard}"


def persist_consumer(shard: int) -> str:
    """Return the durable pull consumer of INGEST that all workers of a shard share."""
    return f"persist-{shard}"


def oldest_of(reader: str) -> str:
    """Return the durable consumer that shows a reader of EVENTS the oldest event still kept."""
    return f"{reader}-oldest"


def limits(node: str) -> str:
    """Return the subject on which one node tells what it counted; `node` is hexadecimal."""
    return f"crossdock.limits.{node}"


def node_of_limits(subject: str) -> str:
    """Return the node that tells on a subject of `limits`."""
    return subject.rpartition(".")[2]


def settings_bucket(shard: int) -> str:
    """Return the key-value bucket of a shard's settings; `proto.settings` says what is in it."""
    return f"{_SETTINGS}{shard}"


def shard_of_settings(bucket: str) -> int | None:
    """Return the shard whose settings are in a bucket, or `None` for a bucket of another kind."""
    number = bucket.removeprefix(_SETTINGS)
    return int(number) if number != bucket and number.isdecimal() else None


def breakers_bucket(shard: int) -> str:
    """Return the key-value bucket in which a shard's workers share breakers, in memory."""
    return f"{_BREAKERS}{shard}"


def event(tenant: str, source: str, event_type: str) -> str:
    """Return the subject of one event: `events.{tenant}.{source}.{type}`.

    Dots of the event type stay token separators, so that `events.*.*.invoice.>` works. Everything
    that could reach another subject (wildcards, spaces, control characters, empty tokens) is
    percent-encoded; a missing type is the token `-`.
    """
    return f"events.{tenant}.{source}.{event_type_tokens(event_type)}"


def out(tenant: str, subject: str) -> str:
    """Return the subject of a destination on NATS; `subject` is one or more safe tokens."""
    return f"out.{tenant}.{subject}"


def event_type_tokens(event_type: str) -> str:
    """Return an event type as one or more safe subject tokens."""
    return ".".join(_token(part) for part in event_type.split(".")) if event_type else "-"


def _token(text: str) -> str:
    if not text:
        return "%00"
    return "".join(chr(b) if b in _SAFE else f"%{b:02X}" for b in text.encode())
