"""Statements of the dispatcher, as the role `dispatch`; each works on a whole set of deliveries.

Times go to and come from the database as spans, never as moments: its clock alone decides what is
due and when a lease ends, whatever the workers' clocks say.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from crossdock.db.schema import encode_headers
from crossdock.delivery.destinations.model import DisabledReason, Order, Rate, RetryPolicy, Settings
from crossdock.delivery.dispatch.lines import Key
from crossdock.delivery.model import About, Attempt, Cargo, DeliveryState, Leased, Target
from crossdock.secrets import model as secrets_model
from crossdock.secrets.model import SealedSecret

if TYPE_CHECKING:
    import asyncpg


class Settled(msgspec.Struct, frozen=True):
    """What came of a leased delivery."""

    leased: Leased
    state: DeliveryState
    attempts: int
    """Made by now."""
    due_in_s: float = 0.0
    """Until the next attempt, for one that stays pending."""
    status: int | None = None
    error: str | None = None
    reason: str | None = None
    attempt: Attempt | None = None

    @property
    def key(self) -> Key:
        """Tenant and destination."""
        return self.leased.tenant_id, self.leased.destination_id


_HEADS: Final = """
WITH RECURSIVE head AS (
    (SELECT tenant_id, destination_id, due_at FROM crossdock.deliveries
     WHERE state = 'pending' AND (tenant_id, destination_id) > ($1, $2)
     ORDER BY tenant_id, destination_id, due_at LIMIT 1)
    UNION ALL
    SELECT next.tenant_id, next.destination_id, next.due_at
    FROM head CROSS JOIN LATERAL (
        SELECT d.tenant_id, d.destination_id, d.due_at FROM crossdock.deliveries AS d
        WHERE d.state = 'pending'
            AND (d.tenant_id, d.destination_id) > (head.tenant_id, head.destination_id)
        ORDER BY d.tenant_id, d.destination_id, d.due_at LIMIT 1
    ) AS next
)
SELECT tenant_id, destination_id,
    extract(epoch FROM least(due_at, now() + interval '1 day') - now())::float8 AS due_in_s
FROM head LIMIT $3
"""


async def heads(conn: "asyncpg.Connection", after: Key, limit: int) -> Sequence[tuple[Key, float]]:
    """Return the next destinations that have pending deliveries, and when their first is due."""
    rows = await conn.fetch(_HEADS, *after, limit)
    return [((row[0], row[1]), row[2]) for row in rows]


class Claimed(msgspec.Struct, frozen=True):
    """What a claim found."""

    leased: list[tuple[Leased, Cargo | None]]
    """Each with its event; `None` for one whose retention has ended."""
    next_in_s: dict[Key, float]
    """Until the next delivery of a destination that is not due yet."""


_CLAIM: Final = """
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS w (tenant_id, destination_id, quota)
), picked AS (
    SELECT due.tenant_id, due.id
    FROM wanted
    CROSS JOIN LATERAL (
        SELECT d.tenant_id, d.id FROM crossdock.deliveries AS d
        WHERE d.tenant_id = wanted.tenant_id AND d.destination_id = wanted.destination_id
            AND d.state = 'pending' AND d.due_at <= now()
        ORDER BY d.due_at LIMIT wanted.quota
        FOR UPDATE SKIP LOCKED
    ) AS due
), taken AS (
    UPDATE crossdock.deliveries AS d
    SET lease = $4, due_at = now() + $5 * interval '1 second'
    FROM picked WHERE d.tenant_id = picked.tenant_id AND d.id = picked.id
    RETURNING d.tenant_id, d.id, d.event_id, d.destination_id, d.attempts, d.line
)
SELECT t.tenant_id, t.destination_id, NULL::float8, t.id, t.event_id, t.attempts,
    e.content_type, e.traceparent, e.body, e.data_key, t.line,
    e.source_id, e.event_type, e.provider_id, e.headers
FROM taken AS t
LEFT JOIN crossdock.events AS e ON e.tenant_id = t.tenant_id AND e.id = t.event_id
UNION ALL
SELECT wanted.tenant_id, wanted.destination_id,
    extract(epoch FROM least(later.due_at, now() + interval '1 day') - now())::float8,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM wanted
CROSS JOIN LATERAL (
    SELECT d.due_at FROM crossdock.deliveries AS d
    WHERE d.tenant_id = wanted.tenant_id AND d.destination_id = wanted.destination_id
        AND d.state = 'pending' AND d.due_at > now()
    ORDER BY d.due_at LIMIT 1
) AS later
"""


async def claim(
    conn: "asyncpg.Connection",
    wanted: Sequence[tuple[Key, int]],
    *,
    lease: UUID,
    lease_s: float,
    lease_ends: float,
) -> Claimed:
    """Lease the deliveries that have been due for longest, so many of each destination.

    One statement for all of it: where hundreds of calls are in flight, each round trip waits for a
    turn of the loop, and the slots run dry meanwhile.
    """
    keys = [key for key, _ in wanted]
    quotas = [quota for _, quota in wanted]
    found = Claimed([], {})
    for row in await conn.fetch(_CLAIM, *_columns(keys), quotas, lease, lease_s):
        if row[3] is None:
            found.next_in_s[row[0], row[1]] = row[2]
            continue
        leased = Leased(
            tenant_id=row[0],
            id=row[3],
            event_id=row[4],
            destination_id=row[1],
            attempts=row[5],
            lease=lease,
            lease_ends=lease_ends,
            line=row[10],
        )
        cargo = None
        if row[8] is not None:
            about = About(row[11], row[12], row[13], row[14])
            cargo = Cargo(row[4], row[6], row[7], row[8], row[9], about)
        found.leased.append((leased, cargo))
    return found


_CARGOES: Final = """
SELECT e.id, e.content_type, e.traceparent, e.body, e.data_key,
    e.source_id, e.event_type, e.provider_id, e.headers
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)
JOIN crossdock.events AS e ON e.tenant_id = wanted.tenant_id AND e.id = wanted.id
"""


async def cargoes(
    conn: "asyncpg.Connection", leased: Collection[Leased]
) -> list[tuple[Leased, Cargo | None]]:
    """Return deliveries, each with its event; `None` for one whose retention has ended."""
    wanted = _columns([(one.tenant_id, one.event_id) for one in leased])
    found = {
        row[0]: Cargo(row[0], row[1], row[2], row[3], row[4], About(row[5], row[6], row[7], row[8]))
        for row in await conn.fetch(_CARGOES, *wanted)
    }
    return [(one, found.get(one.event_id)) for one in leased]


_TARGETS: Final = """
SELECT d.tenant_id, d.id, d.url, d.state = 'enabled' AND t.state = 'active', d.secrets, d.retry,
    d.timeout_s, extract(epoch FROM now() - d.failing_since)::float8, d.version, d.kind, d.settings,
    d.credentials, d.transform, d.signing, d.rate, d.concurrency, d.order_by, d.order_hold,
    d.breaker
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)
JOIN crossdock.destinations AS d ON d.tenant_id = wanted.tenant_id AND d.id = wanted.id
JOIN crossdock.tenants AS t ON t.id = wanted.tenant_id
"""


async def targets(conn: "asyncpg.Connection", keys: Collection[Key]) -> Sequence[Target]:
    """Return destinations, whatever their state; a deleted one is missing."""
    return [
        Target(
            tenant_id=row[0],
            id=row[1],
            url=row[2],
            enabled=row[3],
            secrets=secrets_model.decode(row[4]),
            retry=None if row[5] is None else _policy.decode(row[5]),
            timeout_s=row[6],
            failing_s=row[7],
            version=row[8],
            kind=row[9],
            settings=None if row[10] is None else _settings.decode(row[10]),
            credentials=None if row[11] is None else _sealed.decode(row[11]),
            transform=row[12],
            signing=row[13],
            rate=None if row[14] is None else _rate.decode(row[14]),
            concurrency=row[15],
            order=None if row[16] is None else Order(row[16], row[17]),
            breaker=row[18],
        )
        for row in await conn.fetch(_TARGETS, *_columns(keys))
    ]


# Nothing but ids and leases says which deliveries, here and in `_RELEASE`: their partitions are
# found as it goes. Whatever else narrowed them down - bounds of ids, `state` outside of a CASE -
# the planner would take for few, on statistics that know nothing of the newest, and compare each of
# a backlog with each of the batch.
_SETTLE: Final = """
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::smallint[],
        $6::float8[], $7::smallint[], $8::text[], $9::text[], $10::uuid[], $11::int[],
        $12::bytea[], $13::bytea[], $14::bytea[], $15::bytea[])
    AS g (tenant_id, id, lease, state, attempts, due_in_s, status, error, reason, attempt_id,
        duration_ms, response_headers, response_body, request_headers, request_body)
), settled AS (
    UPDATE crossdock.deliveries AS d
    SET state = given.state, attempts = given.attempts, lease = NULL,
        due_at = now() + given.due_in_s * interval '1 second',
        finished_at = CASE WHEN given.state = 'pending' THEN NULL ELSE now() END,
        last_status = given.status, last_error = given.error, reason = given.reason
    FROM given
    WHERE d.tenant_id = given.tenant_id AND d.id = given.id AND d.lease = given.lease
        AND CASE d.state WHEN 'pending' THEN true ELSE false END
    RETURNING given.*
), added AS (
    INSERT INTO crossdock.attempts
        (tenant_id, id, delivery_id, number, duration_ms, status, error, response_headers,
         response_body, request_headers, request_body)
    SELECT tenant_id, attempt_id, id, attempts, duration_ms, status, error, response_headers,
        response_body, request_headers, request_body
    FROM settled WHERE attempt_id IS NOT NULL
)
SELECT id FROM settled
"""


async def settle(conn: "asyncpg.Connection", batch: Sequence[Settled]) -> set[UUID]:
    """Write what came of deliveries, and their attempts; return those whose lease was ours.

    In the order of their ids, in which everybody else holds several of them at once.
    """
    batch = sorted(batch, key=_id)
    deliveries = [settled.leased.id for settled in batch]
    made = [settled.attempt for settled in batch]
    rows = await conn.fetch(
        _SETTLE,
        [settled.leased.tenant_id for settled in batch],
        deliveries,
        [settled.leased.lease for settled in batch],
        [settled.state for settled in batch],
        [settled.attempts for settled in batch],
        [settled.due_in_s for settled in batch],
        [settled.status for settled in batch],
        [settled.error for settled in batch],
        [settled.reason for settled in batch],
        [one and one.id for one in made],
        [one and one.duration_ms for one in made],
        [one and encode_headers(one.response_headers) for one in made],
        [one and one.response_body for one in made],
        [one and encode_headers(one.request_headers) for one in made],
        [one and one.request_body for one in made],
    )
    return {row[0] for row in rows}


_RELEASE: Final = """
UPDATE crossdock.deliveries AS d
SET lease = NULL, due_at = now() + given.due_in_s * interval '1 second'
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::float8[])
    AS given (tenant_id, id, lease, due_in_s)
WHERE d.tenant_id = given.tenant_id AND d.id = given.id AND d.lease = given.lease
    AND CASE d.state WHEN 'pending' THEN true ELSE false END
"""


async def release(conn: "asyncpg.Connection", unused: Sequence[tuple[Leased, float]]) -> None:
    """Give back leases without an attempt; each delivery is due again after its seconds."""
    deliveries = [leased.id for leased, _ in unused]
    await conn.execute(
        _RELEASE,
        [leased.tenant_id for leased, _ in unused],
        deliveries,
        [leased.lease for leased, _ in unused],
        [due_in_s for _, due_in_s in unused],
    )


_LOCK: Final = """
SELECT 1 FROM crossdock.destinations AS d
JOIN unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)
    ON d.tenant_id = wanted.tenant_id AND d.id = wanted.id
ORDER BY d.tenant_id, d.id FOR UPDATE OF d
"""


async def lock_destinations(conn: "asyncpg.Connection", keys: Iterable[Key]) -> None:
    """Hold destinations in one order for all, so that no two workers wait for each other."""
    await conn.execute(_LOCK, *_columns(sorted(set(keys))))


_FAILING: Final = """
UPDATE crossdock.destinations AS d
SET failing_since = CASE WHEN given.failing THEN coalesce(d.failing_since, now()) END
FROM unnest($1::uuid[], $2::uuid[], $3::bool[]) AS given (tenant_id, id, failing)
WHERE d.tenant_id = given.tenant_id AND d.id = given.id
    AND (d.failing_since IS NOT NULL) <> given.failing
"""


async def mark_failing(conn: "asyncpg.Connection", changes: dict[Key, bool]) -> None:
    """Begin, or end, the time for which destinations have known nothing but failures."""
    await conn.execute(_FAILING, *_columns(changes), list(changes.values()))


_DISABLE: Final = """
UPDATE crossdock.destinations AS d
SET state = 'disabled', disabled_reason = given.reason, disabled_at = now(),
    version = d.version + 1, updated_at = now()
FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS given (tenant_id, id, reason)
WHERE d.tenant_id = given.tenant_id AND d.id = given.id AND d.state = 'enabled'
"""


async def disable(conn: "asyncpg.Connection", reasons: dict[Key, DisabledReason]) -> None:
    """Switch destinations off."""
    await conn.execute(_DISABLE, *_columns(reasons), list(reasons.values()))


def _id(settled: Settled) -> UUID:
    return settled.leased.id


def _columns(pairs: Collection[tuple[UUID, UUID]]) -> tuple[list[UUID], list[UUID]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


_policy: Final = msgspec.json.Decoder(RetryPolicy)
_settings: Final[msgspec.json.Decoder[Settings]] = msgspec.json.Decoder(Settings)
_rate: Final = msgspec.json.Decoder(Rate)
_sealed: Final = msgspec.json.Decoder(SealedSecret)
