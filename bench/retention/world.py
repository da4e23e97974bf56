"""A day long ago with a million events, nearly all of them finished."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from bench.persist.world import Tenant
from crossdock import ids

DAY: Final = timedelta(days=1)

_FILL: Final = """
INSERT INTO crossdock.events
    (tenant_id, id, source_id, stream_seq, event_type, provider_id, content_type, traceparent,
     headers, body, status)
SELECT owners.t[1 + n % cardinality(owners.t)],
    (encode(substr(uuid_send($1::uuid), 1, 5), 'hex') || lpad(to_hex(n % 256), 2, '0') || '7'
        || substr(md5(n::text || 'a'), 1, 3) || '8' || substr(md5(n::text || 'b'), 1, 15))::uuid,
    owners.s[1 + n % cardinality(owners.s)], n, 'invoice.payment_succeeded',
    'evt_1NG8Du2eZvKYlo2CUI79vXWy', 'application/json; charset=utf-8',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '[]',
    convert_to(repeat(md5(n::text), $6 / 32), 'UTF8'),
    CASE WHEN n < $7 THEN 'held' ELSE 'accepted' END
FROM generate_series($2::int, $3::int) AS n, (SELECT $4::uuid[] AS t, $5::uuid[] AS s) AS owners
"""
"""All of a quarter of a second: which moment of the day it is matters to nobody."""

_DELIVERIES: Final = """
INSERT INTO crossdock.deliveries
    (tenant_id, id, event_id, destination_id, is_replay, due_at, state, attempts)
SELECT tenant_id, id, id, source_id, false, now() + interval '1 day',
    CASE WHEN stream_seq < 2 * $3::int THEN 'pending' ELSE 'delivered' END, 1
FROM crossdock.events WHERE id >= $1 AND id < $2 AND status = 'accepted'
"""

_FIELDS: Final = """
INSERT INTO crossdock.event_fields (tenant_id, key, id)
SELECT tenant_id, decode(md5(id::text), 'hex'), id
FROM crossdock.events WHERE id >= $1 AND id < $2
"""


class Filled(msgspec.Struct, frozen=True):
    """What is in the partition, in bytes on disk."""

    events: int
    table_bytes: int


async def fill(
    admin: asyncpg.Connection,
    day: datetime,
    tenants: Sequence[Tenant],
    *,
    events: int,
    unfinished: int,
    body_bytes: int,
) -> Filled:
    """Insert a day's events, each delivered, but for so many that are held and so many pending."""
    low, high = ids.floor(day), ids.floor(day + DAY)
    owners = [[tenant.id for tenant in tenants], [tenant.source_id for tenant in tenants]]
    chunk = 100_000
    for first in range(0, events, chunk):
        last = min(first + chunk, events) - 1
        await admin.execute(_FILL, low, first, last, *owners, body_bytes, unfinished, timeout=None)
    await admin.execute(_DELIVERIES, low, high, unfinished, timeout=None)
    await admin.execute(_FIELDS, low, high, timeout=None)
    await admin.execute("VACUUM ANALYZE", timeout=None)
    await admin.execute("CHECKPOINT", timeout=None)
    size = await admin.fetchval(
        "SELECT pg_total_relation_size($1::regclass)", f"crossdock.events_{day:%Y%m%d}"
    )
    count = await admin.fetchval(
        "SELECT count(*) FROM crossdock.events WHERE id >= $1 AND id < $2", low, high
    )
    return Filled(count, size)
