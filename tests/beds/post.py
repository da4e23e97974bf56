"""A shard with letters on it, and couriers that send them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from crossdock import ids
from crossdock.config import DatabaseSettings
from crossdock.db import Database
from crossdock.mail.message import Sender
from crossdock.mail.model import Mail
from crossdock.mail.sending import Courier
from crossdock.mail.service import Postbox
from crossdock.mail.smtp import SmtpTransport
from crossdock.mail.transport import Transport
from crossdock.secrets.seal import Sealer
from tests.beds.mail import MailServer

SENDER = Sender("Crossdock <no-reply@hooks.example.com>")
POSTBOX = Postbox(Sealer(bytes(range(32))))
LETTER = Mail("ann@example.com", "Grüße", "Text\n\n    token\n", "signup")


class PostBed:
    """A tenant's letters, as the product and as an administrator see them."""

    def __init__(self, database: Database, admin: asyncpg.Connection, tenant_id: UUID) -> None:
        self.database = database
        self.admin = admin
        self.tenant_id = tenant_id

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DatabaseSettings, admin_url: str) -> AsyncIterator["PostBed"]:
        """Make a tenant; close everything at the end."""
        database = await Database.open(settings, {"app", "maintenance"})
        admin = await asyncpg.connect(admin_url)
        tenant_id = ids.new()
        await admin.execute("DELETE FROM crossdock.mails")
        await admin.execute(
            "INSERT INTO crossdock.tenants (id, slug, name)"
            " VALUES ($1, $1::uuid::text, 'a tenant')",
            tenant_id,
        )
        try:
            yield cls(database, admin, tenant_id)
        finally:
            await admin.close()
            await database.close()

    async def put(self, mail: Mail = LETTER, *, count: int = 1) -> list[UUID]:
        """Post a letter, or the same one several times."""
        async with self.database.tenant(self.tenant_id) as conn:
            return [await POSTBOX.put(conn, self.tenant_id, mail) for _ in range(count)]

    def courier(self, way: MailServer | Transport, **options: Any) -> Courier:
        """A courier of its own memory, as in a process of its own."""
        if isinstance(way, MailServer):
            way = SmtpTransport(way.settings(), step_timeout_s=5)
        postbox = options.pop("postbox", POSTBOX)
        return Courier(self.database, postbox, way, SENDER, **options)

    async def rows(self) -> list[asyncpg.Record]:
        """All letters, oldest first."""
        rows: list[asyncpg.Record] = await self.admin.fetch(
            "SELECT *, due_at - now() AS due_in FROM crossdock.mails ORDER BY id"
        )
        return rows

    async def row(self) -> asyncpg.Record:
        """The only letter."""
        [row] = await self.rows()
        return row

    async def due_now(self) -> None:
        """Let the waits be over."""
        await self.admin.execute("UPDATE crossdock.mails SET due_at = now() - interval '1 s'")

    async def age(self, by: timedelta) -> None:
        """Make all letters older."""
        await self.admin.execute(
            "UPDATE crossdock.mails SET created_at = created_at - $1::interval", by
        )


async def until(condition: Callable[[], Awaitable[Any]], *, within_s: float = 15) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.01)
