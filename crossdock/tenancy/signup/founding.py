"""Making the tenant of a signup, in steps that can be begun any number of times.

The place in the control database comes first and claims the slug; then the tenant with its owner,
in one transaction on their shard; then, in the control database again, where the owner signs in.
All ids are the signup's own, so each step finds what it did before.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from crossdock import ids
from crossdock.access.users import store as users
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.db import Databases
from crossdock.errors import Unavailable
from crossdock.identity import emails
from crossdock.outbox import store as outbox
from crossdock.shards.service import Shards
from crossdock.tenancy import rules as tenants
from crossdock.tenancy import store as places
from crossdock.tenancy.model import Placement, Plan, Tenant
from crossdock.tenancy.signup import rules, store
from crossdock.tenancy.signup.model import Signup

PLAN: Final[Plan] = "free"
"""Of tenants that nobody but their founder has decided on."""

KEPT: Final = timedelta(days=1)
"""How long an expired signup is kept, for its founder to be told that it has expired."""

log = structlog.get_logger(__name__)


class Founder:
    """Makes tenants of signups; needs the roles `control` and `operator`."""

    def __init__(
        self, database: Databases, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._shards = Shards(database)
        self._clock = clock

    async def claim(self, conn: store.RawConnection, signup: Signup, slug: str | None) -> Placement:
        """Return the place of a signup's tenant, claimed now unless it was before.

        Raises:
            Invalid: the slug will not do.
            Conflict: another tenant has it.
        """
        found = await places.place_of(conn, signup.tenant_id)
        if found is not None:
            return found
        chosen = signup.slug if slug is None else slug
        tenants.check_own(signup.tenant_name, chosen)
        place = Placement(
            tenant_id=signup.tenant_id,
            slug=chosen,
            name=signup.tenant_name,
            shard=await self._shards.place(conn),
            tier="shared",
            created_at=self._clock(),
        )
        if await places.add_place(conn, place):
            return place
        raise rules.taken(chosen)

    async def found(self, signup: Signup, place: Placement, address: str) -> bool:
        """Make what a place was claimed for, and let its owner sign in; tell whether it is new."""
        await self._make(signup, place, address)
        async with self._database.control() as conn:
            email_hash = emails.hash_of(signup.email)
            await users.add_login(conn, signup.tenant_id, signup.user_id, email_hash)
            return await store.mark_verified(conn, signup.tenant_id, self._clock())

    async def _make(self, signup: Signup, place: Placement, address: str) -> None:
        """Make the tenant and its owner on their shard, unless they are there."""
        tenant = Tenant(
            id=signup.tenant_id,
            slug=place.slug,
            name=signup.tenant_name,
            state="active",
            shard=place.shard,
            version=1,
            created_at=self._clock(),
            plan=PLAN,
        )
        await self._database.shards()
        async with self._database.shard(place.shard).founding(tenant.id) as conn:
            if not await places.add(conn, tenant):
                return
            await store.add_owner(conn, signup)
            await outbox.add_tenant(conn, tenant.id)
            for action, target in (
                ("tenant.create", ids.encode("ten", tenant.id)),
                ("user.create", ids.encode("usr", signup.user_id)),
            ):
                entry = Entry(
                    action=action,
                    actor_kind="user",
                    actor_id=signup.user_id,
                    target=target,
                    address=address or None,
                    detail={"by": "signup"},
                )
                await audit.add_raw(conn, tenant.id, entry)
        log.info("tenant_founded", tenant=tenant.id, slug=tenant.slug, shard=tenant.shard)

    async def forget(self) -> int:
        """Remove signups that are over, and finish those that broke off; return how many went.

        One whose shard is away is left for the next time.

        Raises:
            DatabaseUnavailable: the control database is away.
        """
        before = self._clock() - KEPT
        async with self._database.control() as conn:
            gone = await store.forget(conn, before)
            left = await store.unfinished(conn, before)
        for signup in left:
            async with self._database.control() as conn:
                place = await places.place_of(conn, signup.tenant_id)
            if place is None:
                continue
            try:
                await self.found(signup, place, "")
            except Unavailable as error:
                log.warning("signup_unfinished", tenant=signup.tenant_id, reason=str(error))
        return gone
