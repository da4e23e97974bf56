"""Many events, put where workers would put them, by one statement for each slice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from crossdock import ids, native

HOURS: Final = 5
"""Over which events are spread, up to now: the partitions are the same however many there are."""
SLICE: Final = 500_000
CUSTOMERS: Final = 1_000
POINTER: Final = "/customer"

_EVENTS: Final = """
INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type, provider_id,
    content_type, traceparent, headers, body, status)
SELECT $1,
    (lpad(to_hex($2::bigint + n * $3::bigint / $4::bigint), 12, '0') || '70008'
        || lpad(to_hex(n), 15, '0'))::uuid,
    ($5::uuid[])[1 + n % 10], n, 'type.' || n % 20, 'p-' || n, 'application/json', '', '[]',
    '{"customer":"cus_1","total":12}',
    CASE WHEN n % 100 = 0 THEN 'quarantined' ELSE 'accepted' END
FROM generate_series($6::bigint, $7::bigint) AS n
"""
_FIELDS: Final = """
INSERT INTO crossdock.event_fields (tenant_id, key, id)
SELECT $1, ($2::bytea[])[1 + stream_seq % $3], id
FROM crossdock.events WHERE tenant_id = $1 AND stream_seq BETWEEN $4 AND $5
    AND id >= $6
"""


def slices(count: int) -> Iterator[tuple[int, int]]:
    """Return the first and the last number of each slice."""
    for first in range(1, count + 1, SLICE):
        yield first, min(count, first + SLICE - 1)


async def fill(admin: asyncpg.Connection, tenant_id: UUID, sources: list[UUID], count: int) -> None:
    """Give a tenant events of ten sources, twenty types and a thousand customers."""
    begins = datetime.now(UTC) - timedelta(hours=HOURS)
    start = int(begins.timestamp() * 1000)
    keys = [native.field_key(POINTER, f"cus_{number}") for number in range(CUSTOMERS)]
    await admin.execute("SET synchronous_commit = off")
    for first, last in slices(count):
        span = HOURS * 3_600_000 - 60_000
        await admin.execute(
            _EVENTS, tenant_id, start, span, count, sources, first, last, timeout=900
        )
        least = ids.floor(begins + timedelta(milliseconds=(first - 1) * span // count))
        await admin.execute(_FIELDS, tenant_id, keys, CUSTOMERS, first, last, least, timeout=900)
    await admin.execute("ANALYZE crossdock.events, crossdock.event_fields", timeout=900)
