"""The use cases of a tenant's own: its look at itself, and its name."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from crossdock import ids
from crossdock.access.model import Principal
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.db import Databases
from crossdock.errors import NotFound
from crossdock.tenancy import rules, store
from crossdock.tenancy.model import Tenant, Usage
from crossdock.tenancy.quotas import service as quotas
from crossdock.tenancy.quotas import store as counters
from crossdock.tenancy.rules import RETENTION_DAYS
from crossdock.versions import check


class OwnTenant:
    """What a tenant may know and change of itself."""

    def __init__(
        self,
        database: Databases,
        *,
        retention_days: int = RETENTION_DAYS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._retention = timedelta(days=retention_days)
        self._clock = clock

    async def get(self, tenant_id: UUID) -> Tenant:
        """Return the tenant.

        Raises:
            NotFound: it is not there.
        """
        async with self._database.tenant(tenant_id) as conn:
            return _there(await store.own(conn, tenant_id))

    async def rename(
        self,
        tenant_id: UUID,
        name: str | None,
        versions: frozenset[int] | None = None,
        *,
        by: Principal,
        address: str | None = None,
    ) -> Tenant:
        """Give the tenant another name; its slug stays.

        Lists find the name in the control database while the tenant's shard is away. It is written
        there last: should that fail, to say it again mends it.

        Args:
            tenant_id: Which.
            name: The name, or `None` to leave it.
            versions: Those of which one must be current, or `None` for any.
            by: Who asks.
            address: Where they are.

        Raises:
            Invalid: the name is not fit to be one.
            PreconditionFailed: it has another name by now.
            NotFound: it is not there.
        """
        if name is not None:
            rules.check_name(name)
        async with self._database.tenant(tenant_id) as conn:
            found = _there(await store.own(conn, tenant_id, lock=True))
            check(rules.own_version(found), versions)
            if name is None:
                return found
            if found.name != name:
                await store.rename(conn, tenant_id, name)
                entry = Entry(
                    action="tenant.rename",
                    actor_kind=by.actor.kind,
                    actor_id=by.actor.id,
                    target=ids.encode("ten", tenant_id),
                    address=address,
                    detail={"before": found.name, "after": name},
                )
                await audit.add(conn, tenant_id, entry)
        async with self._database.control() as control:
            await store.rename_place(control, tenant_id, name)
        return await self.get(tenant_id)

    async def usage(self, tenant_id: UUID) -> Usage:
        """Return what the tenant uses of what it may.

        Raises:
            NotFound: it is not there.
        """
        now = self._clock()
        today = now.astimezone(UTC).date()
        async with self._database.tenant(tenant_id) as conn:
            tenant = _there(await store.own(conn, tenant_id))
            counts = await counters.count(conn, tenant_id, counters.MADE)
            day = await counters.day(conn, tenant_id, today, today - self._retention)
        return quotas.usage(tenant, counts, day, now)


def _there(found: Tenant | None) -> Tenant:
    if found is None:
        raise NotFound
    return found
