"""Statements of timelines, each inside one tenant's transaction; what is read is bounded."""

from collections.abc import Collection, Sequence
from datetime import MAXYEAR
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BindParameter, Uuid, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.delivery.model import Attempt, Delivery
from crossdock.delivery.tables import attempts, deliveries, destinations, not_before, of_event
from crossdock.delivery.timeline.model import Course
from crossdock.inbound.tables import events, sources

_DELIVERY: Final = [one for one in deliveries.c if one.name not in {"lease", "is_replay"}]
_ATTEMPT: Final = [
    one for one in attempts.c if one.name not in {"tenant_id", "response_body", "request_body"}
]


async def scheme(conn: AsyncConnection, tenant_id: UUID, source_id: UUID) -> str | None:
    """Return how a source verifies, also one that was deleted."""
    query = select(sources.c.scheme).where(
        sources.c.tenant_id == tenant_id, sources.c.id == source_id
    )
    return (await conn.execute(query)).scalar_one_or_none()


async def matched(conn: AsyncConnection, tenant_id: UUID, event_id: UUID) -> int | None:
    """Return how many destinations wanted an event when it was stored."""
    query = select(events.c.matched).where(events.c.tenant_id == tenant_id, events.c.id == event_id)
    return (await conn.execute(query)).scalar_one_or_none()


async def courses(
    conn: AsyncConnection, tenant_id: UUID, event_id: UUID, limit: int
) -> list[Course]:
    """Return an event's newest deliveries."""
    query = (
        select(*_DELIVERY, deliveries.c.lease.is_not(None).label("is_leased"))
        .where(of_event(tenant_id, event_id))
        .order_by(deliveries.c.id.desc())
        .limit(limit)
    )
    found = []
    for row in (await conn.execute(query)).mappings():
        fields = dict(row)
        is_leased = fields.pop("is_leased")
        if fields["state"] != "pending" or fields["due_at"].year == MAXYEAR:
            fields["due_at"] = None
        found.append(Course(Delivery(**fields), is_leased))
    return found


async def attempts_of(
    conn: AsyncConnection,
    tenant_id: UUID,
    delivery_ids: Collection[UUID],
    limit: int,
    excerpt: int,
) -> Sequence[Attempt]:
    """Return the newest attempts of some deliveries, with so many bytes of their bodies."""
    query = (
        select(
            *_ATTEMPT,
            func.substring(attempts.c.response_body, 1, excerpt).label("response_body"),
            func.substring(attempts.c.request_body, 1, excerpt).label("request_body"),
        )
        .where(
            attempts.c.tenant_id == tenant_id,
            attempts.c.delivery_id == any_(_array(delivery_ids)),
            not_before(min(delivery_ids)),
        )
        .order_by(attempts.c.id.desc())
        .limit(limit)
    )
    found = []
    for row in (await conn.execute(query)).mappings():
        fields = dict(row)
        fields["request_headers"] = fields["request_headers"] or []
        fields["response_headers"] = fields["response_headers"] or []
        fields["response_body"] = fields["response_body"] or b""
        found.append(Attempt(**fields))
    return found


async def disabled(
    conn: AsyncConnection, tenant_id: UUID, destination_ids: Collection[UUID]
) -> frozenset[UUID]:
    """Return those of the destinations that are switched off."""
    query = select(destinations.c.id).where(
        destinations.c.tenant_id == tenant_id,
        destinations.c.id == any_(_array(destination_ids)),
        destinations.c.state == "disabled",
    )
    return frozenset((await conn.execute(query)).scalars())


def _array(found: Collection[UUID]) -> BindParameter[Any]:
    """Return ids as one parameter: a statement's text is the same however many there are."""
    return bindparam(None, list(found), type_=ARRAY(Uuid), unique=True)
