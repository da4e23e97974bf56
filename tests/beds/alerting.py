"""Tenants in trouble, as the database tells it, and those who watch and tell."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crossdock import ids
from crossdock.alerts.model import Alert
from crossdock.alerts.service import Alarm, Alerts
from crossdock.alerts.settings import Wishes
from crossdock.alerts.telling import Herald
from crossdock.alerts.watching import Watcher
from crossdock.bus.streams import persist_consumer
from crossdock.config import DatabaseSettings
from crossdock.db import Database, Databases
from crossdock.delivery.dispatch.dispatcher import Job
from crossdock.inbound.persist import Arrival, decode
from crossdock.inbound.refusals import Recorder, Writer
from crossdock.mail.letters import Letters
from crossdock.mail.model import Mail
from crossdock.paging import Window
from crossdock.secrets.payloads import TenantKeys
from proto import subjects
from tests.beds.delivery import DeliveryBed
from tests.beds.post import POSTBOX
from tests.beds.worker import Ingest

URL = "https://hooks.example.com"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class AlertBed:
    """A shard whose clock a test sets; it begins at the present moment, so that rows fit it."""

    def __init__(self, databases: Databases, admin: asyncpg.Connection) -> None:
        self.databases = databases
        self.admin = admin
        self.now = datetime.now(UTC)
        self.alarm = Alarm(POSTBOX, Letters(URL), clock=self.clock)
        self.alerts = Alerts(databases)
        self.wishes = Wishes(databases, self.alarm, clock=self.clock)
        self.watcher = self.another()

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DatabaseSettings, admin_url: str) -> AsyncIterator["AlertBed"]:
        """Open it; close everything at the end."""
        databases = await Databases.open(settings, {"app", "maintenance"})
        admin = await asyncpg.connect(admin_url)
        try:
            yield cls(databases, admin)
        finally:
            await admin.close()
            await databases.close()

    @property
    def shard(self) -> Database:
        """Where all of it is."""
        return self.databases.shard(0)

    def clock(self) -> datetime:
        """What is told when somebody asks for the time."""
        return self.now

    def another(self, **options: Any) -> Watcher:
        """A watcher as in a worker of its own."""
        return Watcher(self.shard, self.alarm, clock=self.clock, **options)

    async def pass_by(self, by: timedelta) -> None:
        """Let time go by, and have somebody look."""
        self.now += by
        assert await self.watcher.round()

    async def tenant(self, *emails: str, state: str = "active") -> UUID:
        """Make a tenant with these owners; by default one."""
        tenant_id = ids.new()
        await self.admin.execute(
            "INSERT INTO crossdock.tenants (id, slug, name, state)"
            " VALUES ($1, $1::uuid::text, 'Müller', $2)",
            tenant_id,
            state,
        )
        for email in emails or (f"{tenant_id.hex}@example.com",):
            await self.admin.execute(
                "INSERT INTO crossdock.users (tenant_id, id, email, name, state, roles)"
                " VALUES ($1, $2, $3, 'Ann', 'active', '{owner}')",
                tenant_id,
                ids.new(),
                email,
            )
        return tenant_id

    async def destination(self, tenant_id: UUID, **columns: Any) -> UUID:
        """Insert a destination."""
        found = ids.new()
        row = {"tenant_id": tenant_id, "id": found, "name": f"to {found}", "url": "http://a/"}
        await self._insert("destinations", row | columns)
        return found

    async def change(self, destination_id: UUID, **columns: Any) -> None:
        """Set what somebody else would have set."""
        names = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 2))
        await self.admin.execute(
            f"UPDATE crossdock.destinations SET {names} WHERE id = $1",  # noqa: S608 - a test's
            destination_id,
            *columns.values(),
        )

    async def source(self, tenant_id: UUID, **columns: Any) -> UUID:
        """Insert a source."""
        found = ids.new()
        row = {
            "tenant_id": tenant_id,
            "id": found,
            "name": f"from {found}",
            "scheme": "none",
            "recipe": "{}",
            "token_hash": found.bytes * 2,
            "token_sealed": b"",
            "max_body_bytes": 1024,
        }
        await self._insert("sources", row | columns)
        return found

    async def die(
        self, tenant_id: UUID, destination_id: UUID, times: int, *, of: str = "order.paid"
    ) -> None:
        """Give deliveries up now, of events of a type."""
        for _ in range(times):
            event = ids.new()
            await self.admin.execute(
                "INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type,"
                " content_type, traceparent, headers, body) VALUES"
                " ($1, $2, $2, 1, $3, '', '', '', '')",
                tenant_id,
                event,
                of,
            )
            delivery = {
                "tenant_id": tenant_id,
                "id": ids.new(),
                "event_id": event,
                "destination_id": destination_id,
                "due_at": self.now,
                "state": "dead",
                "reason": "rejected",
                "attempts": 1,
                "last_status": 400,
                "finished_at": self.now,
            }
            await self._insert("deliveries", delivery)

    async def refuse(self, tenant_id: UUID, source_id: UUID, times: int) -> None:
        """Refuse webhooks, as a gateway notes it."""
        recorder = Recorder()
        for _ in range(times):
            recorder.count((tenant_id.bytes, source_id.bytes), "signature-invalid")
        await Writer(recorder, self.databases, self.clock).flush()

    async def listed(self, tenant_id: UUID) -> list[Alert]:
        """The tenant's alerts, oldest first."""
        found = await self.alerts.page(tenant_id, Window(limit=200))
        return list(found.items)[::-1]

    async def kinds(self, tenant_id: UUID) -> list[tuple[str, bool]]:
        """Their kinds, and whether each is open."""
        return [(one.kind, one.resolved_at is None) for one in await self.listed(tenant_id)]

    async def mails(self, tenant_id: UUID) -> list[Mail]:
        """The tenant's letters, oldest first."""
        rows = await self.admin.fetch(
            "SELECT id, sealed FROM crossdock.mails WHERE tenant_id = $1 ORDER BY id", tenant_id
        )
        return [POSTBOX.open(tenant_id, row["id"], row["sealed"]) for row in rows]

    async def subjects(self, tenant_id: UUID) -> list[str]:
        """What their subjects are, without the tenant's name."""
        return [mail.subject.removeprefix("Müller: ") for mail in await self.mails(tenant_id)]

    async def _insert(self, table: str, row: dict[str, Any]) -> None:
        names, places = ", ".join(row), ", ".join(f"${place + 1}" for place in range(len(row)))
        await self.admin.execute(
            f"INSERT INTO crossdock.{table} ({names}) VALUES ({places})",  # noqa: S608 - a test's
            *row.values(),
        )


class Telling:
    """The whole way of alerts' events: a herald, the broker, persisting, a dispatcher."""

    def __init__(self, alerts: AlertBed, deliveries: DeliveryBed, ingest: Ingest) -> None:
        self.alerts = alerts
        self.deliveries = deliveries
        self.ingest = ingest
        self.keys = TenantKeys(alerts.databases, deliveries.payloads)
        self.herald = self.another()

    def another(self, **options: Any) -> Herald:
        """A herald as in a worker of its own."""
        given: dict[str, Any] = {"keys": self.keys, "max_body_bytes": 1 << 20} | options
        bed = self.alerts
        return Herald(bed.shard, bed.databases, self.ingest.bus, clock=bed.clock, **given)

    async def listener(self, tenant_id: UUID, url: str, **options: Any) -> UUID:
        """Make a destination that asks for alerts."""
        wanted = {"event_types": ("crossdock.*",)} | options
        return (await self.deliveries.destination(tenant_id, url, **wanted)).destination.id

    async def persist(self) -> list[Job]:
        """Persist all that the broker has, and return the deliveries that are leased to us."""
        stream, name = subjects.INGEST_STREAM, subjects.persist_consumer(0)
        await self.ingest.jetstream.add_consumer(stream, persist_consumer(0))
        pulling = await self.ingest.jetstream.pull_subscribe_bind(name, stream)
        jobs: list[Job] = []
        while waiting := await self.ingest.waiting():
            for message in await pulling.fetch(waiting, timeout=5):
                arrival = decode(message.data, message.metadata.sequence.stream)
                assert isinstance(arrival, Arrival)
                jobs += await self.deliveries.persist(arrival)
                await message.ack_sync()
        await pulling.unsubscribe()
        return jobs

    async def tell(self) -> list[Job]:
        """Tell all that is untold, and persist it."""
        while await self.herald.work():
            pass
        return await self.persist()

    async def events(self, tenant_id: UUID) -> list[asyncpg.Record]:
        """The tenant's events, oldest first."""
        rows: list[asyncpg.Record] = await self.alerts.admin.fetch(
            "SELECT * FROM crossdock.events WHERE tenant_id = $1 ORDER BY id", tenant_id
        )
        return rows
