"""What is persisted: 10,000 tenants with a source and a destination each, and their webhooks."""

import random
import secrets
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from crossdock import ids
from crossdock.db.schema import encode_headers
from crossdock.db.uuids import uuid_of
from crossdock.inbound.persist import Arrival
from proto.ingest import Ingested

HEADERS: Final = [
    ("content-type", "application/json; charset=utf-8"),
    ("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)"),
    ("x-request-id", "req_8Fz1kqv0J2mYtN"),
]

COLUMNS: Final = (
    "tenant_id",
    "id",
    "source_id",
    "stream_seq",
    "event_type",
    "provider_id",
    "content_type",
    "traceparent",
    "headers",
    "body",
    "status",
    "violation",
    "schema_version",
    "data_key",
)

FIELDS: Final = 2
"""Values by which an event of a source that indexes some is found."""
SEALING_BYTES: Final = 29
"""By which a sealed body is longer."""


class Tenant(msgspec.Struct, frozen=True):
    """One tenant with its only source."""

    id: UUID
    source_id: UUID


def fresh() -> UUID:
    """Return a new id, of the kind that asyncpg encodes fast."""
    return uuid_of(ids.new().bytes)


async def populate(admin: asyncpg.Connection, tenants: int) -> list[Tenant]:
    """Insert tenants, each with one destination that wants everything."""
    made = [Tenant(fresh(), fresh()) for _ in range(tenants)]
    owners = [tenant.id for tenant in made]
    await admin.execute(
        "INSERT INTO crossdock.tenants (id, slug, name)"
        " SELECT t, t::text, 'a tenant' FROM unnest($1::uuid[]) AS t",
        owners,
    )
    await admin.execute(
        "INSERT INTO crossdock.destinations (tenant_id, id, name, url)"
        " SELECT t, d, 'the only one', 'http://127.0.0.1:9/'"
        " FROM unnest($1::uuid[], $2::uuid[]) AS made (t, d)",
        owners,
        [fresh() for _ in made],
    )
    await admin.execute("ANALYZE")
    return made


async def fill_ledger(admin: asyncpg.Connection, tenants: Sequence[Tenant], keys: int) -> None:
    """Insert so many keys, as if each tenant had sent its share of webhooks over the past days."""
    each = -(-keys // len(tenants))
    await admin.execute(
        "SET maintenance_work_mem = '1GB';"
        "ALTER TABLE crossdock.event_keys DROP CONSTRAINT event_keys_pkey"
    )
    await admin.execute(
        "INSERT INTO crossdock.event_keys (tenant_id, source_id, dedupe_hash, event_id)"
        " SELECT t, s, uuid_send(gen_random_uuid()), gen_random_uuid()"
        " FROM generate_series(1, $3::int),"
        " unnest($1::uuid[], $2::uuid[]) AS made (t, s)",
        [tenant.id for tenant in tenants],
        [tenant.source_id for tenant in tenants],
        each,
        timeout=None,
    )
    await admin.execute(
        "ALTER TABLE crossdock.event_keys ADD CONSTRAINT event_keys_pkey"
        " PRIMARY KEY (tenant_id, source_id, dedupe_hash)"
    )
    await admin.execute("VACUUM ANALYZE crossdock.event_keys")


class Shape(msgspec.Struct, frozen=True):
    """What the webhooks of a batch are like."""

    body_bytes: int
    indexed: bool = False
    sealed: bool = False


def batch(tenants: Sequence[Tenant], size: int, shape: Shape, first: int) -> list[Arrival]:
    """Return the arrivals of one batch: so many tenants, a webhook each."""
    chosen = random.sample(tenants, size)
    return [_arrival(tenant, shape, first + at) for at, tenant in enumerate(chosen)]


def _arrival(tenant: Tenant, shape: Shape, stream_seq: int) -> Arrival:
    body = b'{"id":"evt","data":"%b"}' % secrets.token_hex(shape.body_bytes // 2).encode()
    body = body[: shape.body_bytes]
    return Arrival.of(
        Ingested(
            event_id=ids.new().bytes,
            tenant_id=tenant.id.bytes,
            source_id=tenant.source_id.bytes,
            event_type="invoice.payment_succeeded",
            dedupe=secrets.token_bytes(16),
            provider_id="evt_1NG8Du2eZvKYlo2CUI79vXWy",
            content_type="application/json; charset=utf-8",
            headers=HEADERS,
            traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            body=secrets.token_bytes(len(body) + SEALING_BYTES) if shape.sealed else body,
            data_key=tenant.source_id.bytes if shape.sealed else None,
            fields=[secrets.token_bytes(16) for _ in range(FIELDS)] if shape.indexed else [],
        ),
        stream_seq,
    )


def rows(arrivals: Sequence[Arrival]) -> list[tuple[object, ...]]:
    """Return the rows that a bare COPY takes: the very columns that persisting writes."""
    return [
        (
            arrival.tenant_id,
            arrival.event_id,
            arrival.source_id,
            arrival.stream_seq,
            arrival.message.event_type,
            arrival.message.provider_id,
            arrival.message.content_type,
            arrival.message.traceparent,
            encode_headers(arrival.message.headers),
            arrival.message.body,
            "accepted",
            None,
            None,
            arrival.data_key,
        )
        for arrival in arrivals
    ]
