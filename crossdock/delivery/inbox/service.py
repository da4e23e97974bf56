"""The use cases of inboxes: looked into, and emptied."""

from typing import Any
from uuid import UUID

from crossdock.db import Databases
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.inbox import store
from crossdock.delivery.inbox.model import InboxMessage
from crossdock.errors import NotFound
from crossdock.paging import Slice, Window


class Inboxes:
    """Shows what came to destinations of the kind `inbox`."""

    def __init__(self, database: Databases) -> None:
        self._database = database

    async def page(
        self, tenant_id: UUID, destination_id: UUID, window: Window
    ) -> Slice[InboxMessage]:
        """Return a page of an inbox, newest first; of another kind of destination it is empty.

        Raises:
            NotFound: this tenant has no such destination.
        """
        async with self._database.tenant(tenant_id) as conn:
            await self._check(conn, tenant_id, destination_id)
            return Slice.cut(await store.page(conn, tenant_id, destination_id, window), window)

    async def empty(self, tenant_id: UUID, destination_id: UUID) -> None:
        """Forget all that came.

        Raises:
            NotFound: this tenant has no such destination.
        """
        async with self._database.tenant(tenant_id) as conn:
            await self._check(conn, tenant_id, destination_id)
            await store.empty(conn, tenant_id, destination_id)

    @staticmethod
    async def _check(conn: Any, tenant_id: UUID, destination_id: UUID) -> None:
        if await destinations.get(conn, tenant_id, destination_id) is None:
            raise NotFound
