"""What a tenant may read of its audit."""

from uuid import UUID

from crossdock.audit import store
from crossdock.audit.model import AuditFilter, Recorded
from crossdock.db import Databases
from crossdock.paging import Slice, Window


class Audit:
    """Lists what was done in a tenant; entries are added by whoever does it."""

    def __init__(self, database: Databases) -> None:
        self._database = database

    async def page(self, tenant_id: UUID, window: Window, wanted: AuditFilter) -> Slice[Recorded]:
        """Return a page of entries, newest first."""
        async with self._database.tenant(tenant_id) as conn:
            return Slice.cut(await store.page(conn, tenant_id, window, wanted), window)
