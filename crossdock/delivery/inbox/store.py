"""Statements on inboxes' messages: as the role `dispatch`, or inside one tenant's transaction."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.db.pages import newest_first
from crossdock.db.schema import encode_headers
from crossdock.delivery.inbox.model import MOST_KEPT, InboxMessage
from crossdock.delivery.tables import inbox_messages
from crossdock.paging import Window

if TYPE_CHECKING:
    import asyncpg

_ADD: Final = """
INSERT INTO crossdock.inbox_messages
    (tenant_id, destination_id, id, event_id, outcome, headers, body)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


async def add(conn: "asyncpg.Connection", message: InboxMessage) -> None:
    """Insert a message."""
    await conn.execute(
        _ADD,
        message.tenant_id,
        message.destination_id,
        message.id,
        message.event_id,
        message.outcome,
        encode_headers(message.headers),
        message.body,
    )


_TRIM: Final = """
DELETE FROM crossdock.inbox_messages
WHERE tenant_id = $1 AND destination_id = $2 AND id <= (
    SELECT id FROM crossdock.inbox_messages
    WHERE tenant_id = $1 AND destination_id = $2
    ORDER BY id DESC OFFSET $3 LIMIT 1
)
"""


async def trim(conn: "asyncpg.Connection", tenant_id: UUID, destination_id: UUID) -> None:
    """Delete all of an inbox but its newest."""
    await conn.execute(_TRIM, tenant_id, destination_id, MOST_KEPT)


_EXPIRE: Final = """
DELETE FROM crossdock.inbox_messages AS m USING (
    SELECT tenant_id, destination_id, id FROM crossdock.inbox_messages WHERE id < $1 LIMIT $2
) AS old
WHERE (m.tenant_id, m.destination_id, m.id) = (old.tenant_id, old.destination_id, old.id)
"""


async def expire(conn: "asyncpg.Connection", before: UUID, limit: int) -> int:
    """Delete so many messages of any inbox that came before an id; return how many there were."""
    return int((await conn.execute(_EXPIRE, before, limit)).rpartition(" ")[2])


async def page(
    conn: AsyncConnection, tenant_id: UUID, destination_id: UUID, window: Window
) -> Sequence[InboxMessage]:
    """Return an inbox's messages, newest first."""
    query = select(inbox_messages).where(
        inbox_messages.c.tenant_id == tenant_id,
        inbox_messages.c.destination_id == destination_id,
    )
    rows = await conn.execute(newest_first(query, inbox_messages.c.id, window))
    return [InboxMessage(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's way


async def empty(conn: AsyncConnection, tenant_id: UUID, destination_id: UUID) -> None:
    """Delete all of an inbox's messages."""
    await conn.execute(
        delete(inbox_messages).where(
            inbox_messages.c.tenant_id == tenant_id,
            inbox_messages.c.destination_id == destination_id,
        )
    )
