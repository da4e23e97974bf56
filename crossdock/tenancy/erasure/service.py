"""The duty that erases tenants whose grace is over.

Each step is one transaction, and each begins with looking at what is left: a kill at any moment
loses nothing, and to begin again repeats nothing. The tables come from the schema itself, so that a
new one is erased without anybody adding it here. What is erased lies in one tenant that was
entered: no other tenant's row can go with it.

A tenant is done when a pass finds nothing. That is never before its feeds are empty, an hour or two
after the first pass: until then passes go on, and take what was still on its way when it ended.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final, NoReturn
from uuid import UUID

import structlog

from crossdock import ids
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.db import Databases
from crossdock.errors import Unavailable
from crossdock.outbox import store as outbox
from crossdock.tenancy import store as tenants
from crossdock.tenancy.erasure import store

POLL_S: Final = 5.0
BATCH: Final = 1000
"""Rows a transaction: a moment's work, and no lock that anybody waits for."""

log = structlog.get_logger(__name__)


class Eraser:
    """Erases one shard's tenants; needs the roles `maintenance`, `operator` and `control`."""

    def __init__(self, database: Databases, shard: int, *, batch: int = BATCH) -> None:
        self._database = database
        self._shard = shard
        self._batch = batch

    async def run(self) -> NoReturn:
        """Work until cancelled; an outage is waited out."""
        while True:
            try:
                await self.work()
            except Unavailable as error:
                log.warning("erasure_waits", shard=self._shard, reason=str(error))
            await asyncio.sleep(POLL_S)

    async def work(self) -> list[UUID]:
        """Do one pass over all tenants whose time is up; return those that are done with it.

        Raises:
            DatabaseUnavailable: a database is away; what is left is left for the next pass.
        """
        async with self._database.shard(self._shard).maintenance() as conn:
            due = await store.due(conn)
        return [tenant_id for tenant_id in due if await self._pass(tenant_id)]

    async def _pass(self, tenant_id: UUID) -> bool:
        """Erase what is there of a tenant; tell whether nothing was."""
        if not await self._end(tenant_id):
            return False
        erased = 0
        for table in store.erasable():
            while True:
                async with self._database.shard(self._shard).operator(tenant_id) as conn:
                    gone = await store.erase_some(conn, table, tenant_id, self._batch)
                erased += gone
                if gone < self._batch:
                    break
        async with self._database.control() as control:
            await store.forget_logins(control, tenant_id)
            await store.forget_signup(control, tenant_id)
        if erased:
            log.info("tenant_erasing", tenant=tenant_id, rows=erased)
            return False
        return await self._finish(tenant_id)

    async def _end(self, tenant_id: UUID) -> bool:
        """Make a tenant's end final; tell whether gateways know of it.

        They learn it from the outbox, which the pass leaves alone; but what they are told is read
        from the rows that it erases, so those have to wait.
        """
        async with self._database.shard(self._shard).operator(tenant_id) as conn:
            found = await tenants.lock(conn, tenant_id)
            if found is None or found.terminate_at is None:
                return False  # resumed, or done by another worker, since the list was read
            if found.state == "terminating":
                if found.terminate_at > datetime.now(UTC):
                    return False
                await tenants.set_state(
                    conn,
                    tenant_id,
                    "terminated",
                    reason=found.reason,
                    terminate_at=found.terminate_at,
                    ends_tokens=True,
                )
                await outbox.add_tenant(conn, tenant_id)
                await audit.add_raw(conn, tenant_id, _entry("tenant.end", tenant_id))
            return not await store.has_untold(conn, tenant_id)

    async def _finish(self, tenant_id: UUID) -> bool:
        """Note that a tenant is erased, once nobody reads of it any more."""
        async with self._database.shard(self._shard).operator(tenant_id) as conn:
            found = await tenants.lock(conn, tenant_id)
            if found is None or found.terminate_at is None:
                return False
            if await store.has_feeds(conn, tenant_id):
                return False
            await store.mark_erased(conn, tenant_id)
            await audit.add_raw(conn, tenant_id, _entry("tenant.erase", tenant_id))
        log.info("tenant_erased", tenant=tenant_id)
        return True


def _entry(action: str, tenant_id: UUID) -> Entry:
    return Entry(action=action, target=ids.encode("ten", tenant_id))
