"""The use cases of tenants: the operator's, and the tenant's look at itself."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from crossdock import ids
from crossdock.db import Database
from crossdock.errors import NotFound
from crossdock.outbox import store as outbox
from crossdock.tenancy import rules, store
from crossdock.tenancy.model import Tenant, TenantState


class OwnTenant:
    """What a tenant may know of itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, tenant_id: UUID) -> Tenant:
        """Return the tenant.

        Raises:
            NotFound: it is not of this shard.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.own(conn, tenant_id)
        if found is None:
            raise NotFound
        return found


class Tenants:
    """The operator's work; needs the `maintenance` role."""

    def __init__(
        self,
        database: Database,
        *,
        shard: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._shard = shard
        self._clock = clock

    async def create(self, name: str, slug: str | None = None) -> Tenant:
        """Make a tenant; its slug comes from its name unless given.

        Raises:
            Invalid: the name or the slug is not fit to be one.
            Conflict: another tenant has that slug.
        """
        slug = rules.slug_of(name) if slug is None else slug
        rules.check(name, slug)
        now = self._clock()
        tenant = Tenant(
            id=ids.new(now.timestamp()),
            slug=slug,
            name=name,
            state="active",
            shard=self._shard,
            version=1,
            created_at=now,
        )
        async with self._database.maintenance() as conn:
            await store.add(conn, tenant)
        return tenant

    async def all(self) -> Sequence[Tenant]:
        """Return every tenant, newest first."""
        async with self._database.maintenance() as conn:
            return await store.page(conn)

    async def find(self, reference: str) -> Tenant:
        """Return the tenant of a slug or an id (`ten_…`).

        Raises:
            NotFound: there is none.
        """
        async with self._database.maintenance() as conn:
            found = await store.lock(conn, reference, _as_id(reference))
        if found is None:
            raise NotFound(f"There is no tenant {reference}.")
        return found

    async def switch(self, reference: str, state: TenantState) -> Tenant:
        """Suspend a tenant or resume it; gateways know within a second.

        Raises:
            NotFound: there is no tenant of that slug or id.
            Conflict: there is no way to that state from where it is.
        """
        async with self._database.maintenance() as conn:
            found = await store.lock(conn, reference, _as_id(reference))
            if found is None:
                raise NotFound(f"There is no tenant {reference}.")
            if rules.switch(found, state):
                found = await store.set_state(conn, found.id, state)
                await outbox.add_tenant(conn, found.id)
        return found


def _as_id(reference: str) -> UUID | None:
    try:
        return ids.decode("ten", reference)
    except NotFound:
        return None
