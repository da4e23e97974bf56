"""What a destination missed, and what the measured process is told and tells."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from bench.ingest.payloads import payloads
from crossdock import ids, native
from crossdock.config import DatabaseSettings
from crossdock.delivery.destinations.sealing import secret_context
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer

MINUTES: Final = 60
"""Over which the events came in."""
LARGE_EVERY: Final = 20
"""One in so many is of the larger payloads, of up to some twenty kilobytes."""
SMALL_BYTES: Final = 4096
FILTER: Final = "has(payload.id) || !has(payload.id)"
"""True of every payload, once it was parsed and looked into."""

_EVENTS: Final = """
INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type, provider_id,
    content_type, traceparent, headers, body, status, matched)
SELECT $1,
    (lpad(to_hex($2::bigint + n * $3::bigint / $4::bigint), 12, '0') || '70008'
        || lpad(to_hex(n), 15, '0'))::uuid,
    $1, n, t, 'p-' || n, 'application/json', '', '[["user-agent","bench"]]', b, 'accepted', 0
FROM unnest($5::bigint[], $6::text[], $7::bytea[]) AS made (n, t, b)
"""


class Task(msgspec.Struct, frozen=True):
    """What the measured process is told."""

    database: DatabaseSettings
    key: str
    tenant_id: UUID
    destination_id: UUID
    count: int


class Figure(msgspec.Struct, frozen=True):
    """What it tells; memory in bytes."""

    wall_s: float
    cpu_s: float
    rss_open: int
    """When everything was open, and nothing done."""
    rss_tenth: int
    """When a tenth was delivered: all code, pools and caches are warm."""
    rss_end: int
    rss_peak: int
    most_pending: int
    """Deliveries that waited at once."""


async def miss(
    admin: asyncpg.Connection, sealer: Sealer, port: int, count: int
) -> tuple[UUID, UUID]:
    """Make a tenant whose destination missed so many events; return both."""
    tenant, destination = ids.new(), ids.new()
    await admin.execute(
        "INSERT INTO crossdock.tenants (id, slug, name) VALUES ($1, 'acme', 'Acme')", tenant
    )
    secret = native.generate_secret("standard").encode()
    sealed = sealer.seal(secret, context=secret_context(tenant, destination))
    begins = datetime.now(UTC) - timedelta(minutes=MINUTES + 1)
    await admin.execute(
        "INSERT INTO crossdock.destinations (tenant_id, id, name, url, secrets, filter,"
        " disabled_at) VALUES ($1, $2, 'd', $3, $4, $5, $6)",
        tenant,
        destination,
        f"http://127.0.0.1:{port}/hook",
        msgspec.json.encode([SealedSecret("1", sealed)]).decode(),
        FILTER,
        begins,
    )
    await _fill(admin, tenant, int(begins.timestamp() * 1000), count)
    return tenant, destination


async def _fill(admin: asyncpg.Connection, tenant: UUID, start: int, count: int) -> None:
    known = payloads()
    small = [one for one in known if len(one.body) <= SMALL_BYTES]
    large = [one for one in known if len(one.body) > SMALL_BYTES]
    await admin.execute("SET synchronous_commit = off")
    for first in range(0, count, 5000):
        numbers = list(range(first, min(count, first + 5000)))
        chosen = [
            large[number % len(large)] if number % LARGE_EVERY == 0 else small[number % len(small)]
            for number in numbers
        ]
        await admin.execute(
            _EVENTS,
            tenant,
            start,
            MINUTES * 60_000,
            count,
            numbers,
            [one.event_type for one in chosen],
            [one.body for one in chosen],
        )
    await admin.execute("ANALYZE crossdock.events; CHECKPOINT")
