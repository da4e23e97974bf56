"""Tenants by the thousand, and what they were sent."""

import random
import secrets
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from crossdock import ids
from crossdock.config import DatabaseSettings
from crossdock.db.uuids import uuid_of
from crossdock.inbound.persist import Arrival
from proto.ingest import Ingested


class Destination(msgspec.Struct, frozen=True):
    """What a tenant wants, and where."""

    id: UUID
    source_ids: tuple[UUID, ...] = ()
    event_types: tuple[str, ...] = ()
    state: str = "enabled"
    disabled_reason: str | None = None
    filter: str | None = None
    order_by: str | None = None


class Tenant(msgspec.Struct, frozen=True):
    """One tenant with its sources and destinations."""

    id: UUID
    sources: tuple[UUID, ...]
    destinations: tuple[Destination, ...] = ()
    state: str = "active"


class World:
    """The database as its administrator sees it."""

    def __init__(self, settings: DatabaseSettings, admin: asyncpg.Connection) -> None:
        self.settings = settings
        self.admin = admin
        self._seq = 0

    async def add(self, *tenants: Tenant) -> None:
        """Insert tenants with their destinations."""
        owners = [tenant.id for tenant in tenants]
        await self.admin.execute(
            "INSERT INTO crossdock.tenants (id, slug, name, state)"
            " SELECT t, t::text, 'a tenant', s FROM unnest($1::uuid[], $2::text[]) AS x (t, s)",
            owners,
            [tenant.state for tenant in tenants],
        )
        await self.admin.executemany(
            "INSERT INTO crossdock.destinations (tenant_id, id, name, url, source_ids,"
            " event_types, state, disabled_reason, filter, order_by)"
            " VALUES ($1, $2, $2::uuid::text, 'http://127.0.0.1:9/', $3, $4, $5, $6, $7, $8)",
            [
                (
                    tenant.id,
                    one.id,
                    list(one.source_ids),
                    list(one.event_types),
                    one.state,
                    one.disabled_reason,
                    one.filter,
                    one.order_by,
                )
                for tenant in tenants
                for one in tenant.destinations
            ],
        )

    def webhook(
        self,
        tenant: Tenant,
        *,
        event_id: UUID | None = None,
        dedupe: bytes | None = b"",
        event_type: str = "order.paid",
        body: bytes = b'{"total": 1}',
        source: int = 0,
    ) -> Arrival:
        """Return one webhook as it arrives; each has a dedupe hash of its own unless given."""
        self._seq += 1
        message = Ingested(
            event_id=(event_id or ids.new()).bytes,
            tenant_id=tenant.id.bytes,
            source_id=tenant.sources[source].bytes,
            event_type=event_type,
            dedupe=secrets.token_bytes(16) if dedupe == b"" else dedupe,
            provider_id="evt_1",
            content_type="application/json",
            headers=[("content-type", "application/json")],
            traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            body=body,
        )
        return Arrival.of(message, self._seq)

    def again(self, arrival: Arrival) -> Arrival:
        """Return the same webhook, sent again by its provider: accepted under another id."""
        message = msgspec.structs.replace(arrival.message, event_id=ids.new().bytes)
        self._seq += 1
        return Arrival.of(message, self._seq)

    async def count(self, table: str, where: str = "true", *arguments: object) -> int:
        """Return how many rows there are, policies aside."""
        found: int = await self.admin.fetchval(
            f"SELECT count(*) FROM crossdock.{table} WHERE {where}",  # noqa: S608 - a test's words
            *arguments,
        )
        return found


def tenant(*destinations: Destination, state: str = "active", sources: int = 1) -> Tenant:
    """Return a new tenant."""
    return Tenant(fresh(), tuple(fresh() for _ in range(sources)), destinations, state)


def fresh() -> UUID:
    """Return a new id."""
    return uuid_of(ids.new().bytes)


def id_at(moment: datetime) -> UUID:
    """Return an id as it would have been made at another moment."""
    chance = random.getrandbits(62) | 0x7000 << 64 | 2 << 62
    return uuid_of(UUID(int=ids.floor(moment).int | chance).bytes)
