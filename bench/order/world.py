"""Backlogs with lines, and without."""

from typing import Final, Literal
from uuid import UUID

import asyncpg
import msgspec

from bench.delivery.world import TRACE, body
from crossdock import ids

KEYS: Final = 10_000
DEEP: Final = 100_000
"""Deliveries in one line."""

Case = Literal["unordered", "keys", "line"]
"""No order; ten thousand keys over all destinations; one line with all of a deep backlog."""


class Shape(msgspec.Struct, frozen=True):
    """What is made due, and how much of it is measured."""

    made: int
    measured: int
    keys: int | None


def shape(case: Case, count: int) -> Shape:
    """Return what a case is about."""
    if case == "unordered":
        return Shape(count, count, None)
    if case == "keys":
        return Shape(count, count, KEYS)
    return Shape(DEEP, count // 20, 1)


async def fill(admin: asyncpg.Connection, pairs: list[tuple[UUID, UUID]], shape: Shape) -> None:
    """Begin anew with so many events, a delivery each; those with a key are blocked at first."""
    await admin.execute(
        "TRUNCATE crossdock.deliveries, crossdock.attempts, crossdock.events;"
        " UPDATE crossdock.order_floor SET seq = 0"
    )
    keys = [None if shape.keys is None else n % shape.keys for n in range(shape.made)]
    chosen = [
        pairs[(number if key is None else key) % len(pairs)] for number, key in enumerate(keys)
    ]
    events = [ids.new() for _ in chosen]
    await admin.execute(
        "INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type,"
        " content_type, traceparent, headers, body)"
        " SELECT t, e, e, n, 'invoice.paid', 'application/json', $4, '[]', b"
        " FROM unnest($1::uuid[], $2::uuid[], $3::bytea[]) WITH ORDINALITY AS made (t, e, b, n)",
        [tenant for tenant, _ in chosen],
        events,
        [body(number) for number in range(shape.made)],
        TRACE,
    )
    await admin.execute(
        "INSERT INTO crossdock.deliveries"
        " (tenant_id, id, event_id, destination_id, line, order_seq, due_at)"
        " SELECT t, i, e, d, l, CASE WHEN l IS NOT NULL THEN n END,"
        " CASE WHEN l IS NULL THEN now() ELSE 'infinity' END"
        " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[])"
        " WITH ORDINALITY AS made (t, i, e, d, l, n)",
        [tenant for tenant, _ in chosen],
        [ids.new() for _ in chosen],
        events,
        [destination for _, destination in chosen],
        keys,
    )
    await admin.execute("ANALYZE crossdock.deliveries, crossdock.events; CHECKPOINT")
