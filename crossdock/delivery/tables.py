"""Tables of destinations, deliveries, attempts and replays."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    and_,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crossdock import ids
from crossdock.db.schema import (
    OWN_RECORD,
    HeaderPairs,
    key,
    metadata,
    moment,
    one_of,
    tenant_table,
)

destinations: Final = tenant_table(
    "destinations",
    key(),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="enabled"),
    Column("disabled_reason", Text),
    Column("source_ids", ARRAY(Uuid), nullable=False, server_default=text("'{}'::uuid[]")),
    Column("event_types", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("secrets", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("retry", JSONB),
    Column("timeout_s", REAL, nullable=False, server_default=text("15")),
    moment("failing_since", nullable=True),
    moment("disabled_at", nullable=True),
    Column("kind", Text, nullable=False, server_default="http"),
    Column("settings", JSONB),
    Column("credentials", JSONB),
    Column("filter", Text),
    Column("transform", Text),
    Column("signing", Text, nullable=False, server_default="hmac"),
    Column("rate", JSONB),
    Column("concurrency", SmallInteger),
    Column("order_by", Text),
    Column("order_hold", Text, nullable=False, server_default="until_dead"),
    Column("breaker", Text, nullable=False, server_default="auto"),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    moment("created_at", now=True),
    moment("updated_at", now=True),
    ForeignKeyConstraint(["tenant_id"], ["crossdock.tenants.id"]),
    UniqueConstraint("tenant_id", "name"),
    one_of("state", "enabled", "disabled"),
    one_of("disabled_reason", "by_owner", "failing", "gone"),
    one_of("kind", "http", "nats", "inbox", "storage"),
    one_of("signing", "hmac", "ed25519"),
    one_of("order_hold", "until_dead", "until_delivered"),
    one_of("breaker", "auto", "open", "off"),
    audit="full",
)
"""Empty `source_ids` and `event_types` mean all; see `crossdock.delivery.rules.matches`.

`disabled_reason`: `by_owner` and `gone` (it answered 410) take no new deliveries; `failing`
(five days without success) takes them and lets them wait until it is enabled or they are too old.
"""

_LINE: Final = ("tenant_id", "destination_id", "line")
_WAITS: Final = "line IS NOT NULL AND state = 'pending' AND due_at"
_BLOCKED: Final = f"{_WAITS} = 'infinity'::timestamptz"
_ACTIVE: Final = f"{_WAITS} < 'infinity'::timestamptz"
_HELD: Final = "line IS NOT NULL AND state = 'dead'"

deliveries: Final = tenant_table(
    "deliveries",
    key(),
    Column("event_id", Uuid, nullable=False),
    Column("destination_id", Uuid, nullable=False),
    moment("due_at"),
    moment("finished_at", nullable=True),
    Column("lease", Uuid),
    Column("replay_id", Uuid),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("last_status", SmallInteger),
    Column("is_replay", Boolean, nullable=False, server_default=text("true")),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("last_error", Text),
    Column("reason", Text),
    Column("line", BigInteger),
    Column("order_seq", BigInteger),
    one_of("state", "pending", "delivered", "dead", "cancelled", "replayed"),
    Index("deliveries_replay_idx", "tenant_id", "event_id", postgresql_where=text("is_replay")),
    Index(
        "deliveries_due_idx",
        "tenant_id",
        "destination_id",
        "due_at",
        postgresql_where=text("state = 'pending'"),
    ),
    Index("deliveries_blocked_idx", *_LINE, "order_seq", "id", postgresql_where=text(_BLOCKED)),
    Index("deliveries_active_idx", *_LINE, postgresql_where=text(_ACTIVE)),
    # Its last condition keeps the planner from using it where no place on the stream is asked for.
    Index(
        "deliveries_joining_idx",
        "order_seq",
        postgresql_where=text(f"{_BLOCKED} AND order_seq IS NOT NULL"),
    ),
    Index("deliveries_held_idx", *_LINE, "order_seq", "id", postgresql_where=text(_HELD)),
    Index("deliveries_dead_idx", "tenant_id", "id", postgresql_where=text("state = 'dead'")),
    Index(
        "deliveries_died_idx",
        "tenant_id",
        "destination_id",
        "finished_at",
        postgresql_where=text("state = 'dead'"),
    ),
    Index(
        "deliveries_ended_idx",
        "tenant_id",
        "destination_id",
        "id",
        postgresql_where=text("state IN ('dead', 'cancelled', 'replayed')"),
    ),
    audit=OWN_RECORD,
    partitioned=True,
)
"""The truth of every delivery, and its queue.

A claimed delivery stays `pending` with `due_at` at its lease's end: a crash makes it due again by
itself. One that nobody may attempt yet (its tenant is suspended, its destination is disabled) is
`pending` without a lease; the dispatcher looks again later.

Those that persisting makes share the upper half of their id with their event's, so that the primary
key finds them; only those made later (`is_replay`) need an index by event. `of_event` knows both.
"""


def of_event(tenant_id: UUID, event_id: UUID) -> ColumnElement[bool]:
    """Return the condition for all deliveries of one event."""
    low = UUID(int=event_id.int >> 64 << 64)
    high = UUID(int=low.int | (1 << 64) - 1)
    columns = deliveries.c
    return and_(
        columns.tenant_id == tenant_id,
        columns.event_id == event_id,
        or_(columns.id.between(low, high), columns.is_replay),
    )


attempts: Final = tenant_table(
    "attempts",
    key(),
    Column("delivery_id", Uuid, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("number", SmallInteger, nullable=False),
    Column("status", SmallInteger),
    Column("error", Text),
    Column("response_headers", HeaderPairs),
    Column("response_body", LargeBinary),
    Column("request_headers", HeaderPairs),
    Column("request_body", LargeBinary),
    Index("attempts_delivery_idx", "tenant_id", "delivery_id"),
    audit=OWN_RECORD,
    partitioned=True,
)
"""One call of a destination each; its moment is its id's."""

MOST_BEHIND: Final = timedelta(days=1)
"""So far behind the clock of a gateway, at most, is that of a worker."""


def not_before(delivery_id: UUID) -> ColumnElement[bool]:
    """Return the condition that spares the partitions in which no attempt of a delivery can be."""
    return attempts.c.id >= ids.floor(ids.time_of(delivery_id) - MOST_BEHIND)


replays: Final = tenant_table(
    "replays",
    key(),
    Column("state", Text, nullable=False, server_default="running"),
    Column("filter", JSONB, nullable=False),
    Column("cursor", Uuid),
    Column("matched", Integer, nullable=False, server_default=text("0")),
    moment("created_at", now=True),
    moment("finished_at", nullable=True),
    ForeignKeyConstraint(["tenant_id"], ["crossdock.tenants.id"]),
    Column("seen", Integer, nullable=False, server_default=text("0")),
    Column("low", Uuid),
    Column("mark", BigInteger),
    Column("waits_for", Uuid),
    one_of("state", "running", "paused", "done", "cancelled"),
    audit="full",
)
"""A replay in bulk: each dead letter that it answers becomes `replayed`, with a new delivery.

It walks from `low`. `mark` is a transaction's number: it begins when all below have ended.
`waits_for` is a destination to which so much waits that no more is made.
"""

order_floor: Final = Table(
    "order_floor",
    metadata,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    Column("seq", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("id", name="one"),
    info={"audit": OWN_RECORD},
)
"""How far persisting has come without a gap: an ordered delivery joins its line at or below it."""

destination_stats: Final = tenant_table(
    "destination_stats",
    key("destination_id"),
    Column("hour", DateTime(timezone=True), primary_key=True, nullable=False),
    Column("delivered", BigInteger, nullable=False, server_default=text("0")),
    Column("failed", BigInteger, nullable=False, server_default=text("0")),
    Column("dead", BigInteger, nullable=False, server_default=text("0")),
    Column("durations", ARRAY(BigInteger), nullable=False, server_default=text("'{}'::bigint[]")),
    Index("destination_stats_hour_idx", "hour"),
    audit=OWN_RECORD,
)
"""What came of attempts, by destination and hour; `durations` is a histogram, see `stats.rules`."""

inbox_messages: Final = tenant_table(
    "inbox_messages",
    key("destination_id"),
    key(),
    Column("event_id", Uuid, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("headers", HeaderPairs, nullable=False),
    Column("body", LargeBinary, nullable=False),
    audit=OWN_RECORD,
)
"""What came to destinations that only show it: the newest of each."""
