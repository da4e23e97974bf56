"""What is delivered, and to whom."""

from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from crossdock import ids, native
from crossdock.delivery.destinations.sealing import secret_context
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer

BODY_BYTES: Final = 1024
TENANTS: Final = 8
DESTINATIONS: Final = 4
"""Of each tenant."""
TRACE: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Task(msgspec.Struct, frozen=True):
    """What a measured process is told."""

    port: int
    count: int
    concurrency: int


class Figure(msgspec.Struct, frozen=True):
    """What it cost, in seconds."""

    wall_s: float
    cpu_s: float


def body(number: int) -> bytes:
    """Return a body of the size we measure with."""
    text = b'{"id":"evt_%d","data":"' % number
    return text + b"x" * (BODY_BYTES - len(text) - 2) + b'"}'


async def populate(admin: asyncpg.Connection, sealer: Sealer, port: int) -> list[tuple[UUID, UUID]]:
    """Insert tenants with destinations at the sink; return all pairs of them."""
    pairs = []
    for number in range(TENANTS):
        tenant = ids.new()
        await admin.execute(
            "INSERT INTO crossdock.tenants (id, slug, name) VALUES ($1, $2, 'a tenant')",
            tenant,
            f"tenant-{number}",
        )
        for other in range(DESTINATIONS):
            destination = ids.new()
            secret = native.generate_secret("standard").encode()
            sealed = sealer.seal(secret, context=secret_context(tenant, destination))
            await admin.execute(
                "INSERT INTO crossdock.destinations (tenant_id, id, name, url, secrets)"
                " VALUES ($1, $2, $3, $4, $5)",
                tenant,
                destination,
                f"destination {other}",
                f"http://127.0.0.1:{port}/hook",
                msgspec.json.encode([SealedSecret(str(other), sealed)]).decode(),
            )
            pairs.append((tenant, destination))
    return pairs


async def make_due(admin: asyncpg.Connection, pairs: list[tuple[UUID, UUID]], count: int) -> None:
    """Insert so many events with a delivery each, all of them due."""
    chosen = [pairs[number % len(pairs)] for number in range(count)]
    events = [ids.new() for _ in chosen]
    await admin.execute(
        "INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type,"
        " content_type, traceparent, headers, body)"
        " SELECT t, e, e, 0, 'invoice.paid', 'application/json', $4, '[]', b"
        " FROM unnest($1::uuid[], $2::uuid[], $3::bytea[]) AS made (t, e, b)",
        [tenant for tenant, _ in chosen],
        events,
        [body(number) for number in range(count)],
        TRACE,
    )
    await admin.execute(
        "INSERT INTO crossdock.deliveries (tenant_id, id, event_id, destination_id, due_at)"
        " SELECT t, i, e, d, now()"
        " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) AS made (t, i, e, d)",
        [tenant for tenant, _ in chosen],
        [ids.new() for _ in chosen],
        events,
        [destination for _, destination in chosen],
    )
    await admin.execute("ANALYZE crossdock.deliveries, crossdock.events; CHECKPOINT")
