"""The use cases of tenants: what operators do."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from crossdock import ids
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.db import Databases
from crossdock.errors import Conflict, NotFound, Unavailable
from crossdock.outbox import store as outbox
from crossdock.paging import Slice, Window
from crossdock.shards.service import Shards
from crossdock.tenancy import plans, rules, store
from crossdock.tenancy.model import (
    By,
    Listed,
    Placement,
    Plan,
    Tenant,
    TenantState,
    Usage,
    detail_of,
)
from crossdock.tenancy.quotas import service as quotas
from crossdock.tenancy.quotas import store as counters
from crossdock.tenancy.rules import RETENTION_DAYS
from crossdock.versions import check

_ALL: Final = 200


class Tenants:
    """The operator's work; needs the roles `control`, `operator` and `directory`."""

    def __init__(
        self,
        database: Databases,
        *,
        shard: int | None = None,
        retention_days: int = RETENTION_DAYS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Work on the tenants of an installation.

        Args:
            database: all of its shards.
            shard: where tenants are made unless told; else the rule of shards says.
            retention_days: how long events are stored.
            clock: injected by tests.
        """
        self._database = database
        self._shards = Shards(database)
        self._shard = shard
        self._retention = timedelta(days=retention_days)
        self._clock = clock

    async def create(
        self,
        name: str,
        slug: str | None = None,
        *,
        plan: str = "standard",
        shard: int | None = None,
        by: By | None = None,
    ) -> Tenant:
        """Make a tenant; its slug comes from its name unless given.

        Its place is claimed first, and then the tenant made on its shard. After a crash between the
        two, to ask again for the same slug goes on with what was begun.

        Raises:
            Invalid: the name, the slug or the plan is not fit to be one.
            Conflict: another tenant has that slug, or that shard takes no new tenants.
            NotFound: there is no such shard.
        """
        slug = rules.slug_of(name) if slug is None else slug
        rules.check(name, slug)
        plan = plans.check_plan(plan)
        now = self._clock()
        place = await self._claim(
            Placement(ids.new(now.timestamp()), slug, name, 0, "shared", now),
            self._shard if shard is None else shard,
        )
        tenant = Tenant(
            id=place.tenant_id,
            slug=slug,
            name=name,
            state="active",
            shard=place.shard,
            version=1,
            created_at=now,
            plan=plan,
        )
        database = await self._on(place.shard)
        async with database.founding(tenant.id) as conn:
            if not await store.add(conn, tenant):  # whoever asked at the same moment was faster
                raise _taken(slug)
            await outbox.add_tenant(conn, tenant.id)
            await audit.add_raw(conn, tenant.id, entry_of("create", tenant.id, by, plan=plan))
        return tenant

    async def page(self, window: Window) -> Slice[Listed]:
        """Return a page of all tenants, newest first; of an absent shard's only the places."""
        async with self._database.control() as conn:
            places = await store.places(conn, window)
        cut = Slice.cut(places, window)
        return Slice(await self._look(cut.items), more=cut.more)

    async def all(self) -> Sequence[Listed]:
        """Return every tenant, newest first."""
        found: list[Listed] = []
        window = Window(None, _ALL)
        while True:
            page = await self.page(window)
            found += page.items
            if not page.more:
                return found
            window = Window(found[-1].id, _ALL)

    async def see(self, reference: str) -> Listed:
        """Return the tenant of a slug or an id (`ten_…`), as far as its shard answers.

        Raises:
            NotFound: there is none.
        """
        return (await self._look([await self._place(reference)]))[0]

    async def find(self, reference: str) -> Tenant:
        """Return the tenant of a slug or an id.

        Raises:
            NotFound: there is none.
            DatabaseUnavailable: its shard is away.
        """
        place = await self._place(reference)
        async with self._database.operator(place.tenant_id) as conn:
            return _there(await store.get(conn, place.tenant_id), reference)

    async def suspend(
        self,
        reference: str,
        versions: frozenset[int] | None = None,
        *,
        reason: str,
        by: By | None = None,
    ) -> Tenant:
        """Refuse a tenant's webhooks and writes, and end its people's access tokens.

        Raises:
            NotFound: there is no such tenant.
            PreconditionFailed: operators have changed it by now.
            Conflict: it is on its way out, or the platform itself.
            Invalid: the reason says nothing.
        """
        rules.check_reason(reason)
        return await self._switch(reference, "suspended", "suspend", by, versions, reason=reason)

    async def resume(
        self, reference: str, versions: frozenset[int] | None = None, *, by: By | None = None
    ) -> Tenant:
        """Take a tenant's webhooks and writes again; its people sign in anew, or refresh.

        One that is terminating is kept, as long as its data is there.

        Raises:
            NotFound: there is no such tenant.
            PreconditionFailed: operators have changed it by now.
            Conflict: there is nothing to resume, or its data is gone.
        """
        return await self._switch(reference, "active", "resume", by, versions)

    async def terminate(
        self,
        reference: str,
        versions: frozenset[int] | None = None,
        *,
        reason: str,
        grace_days: int = rules.GRACE_DAYS,
        by: By | None = None,
    ) -> Tenant:
        """End a tenant: it stops now, and its data goes when the grace is over.

        Of one that is ending already, only a shorter grace changes anything.

        Raises:
            NotFound: there is no such tenant.
            PreconditionFailed: operators have changed it by now.
            Conflict: it has ended, or is the platform itself.
            Invalid: the reason says nothing, or the grace is too long.
        """
        rules.check_reason(reason)
        ends = rules.end_of_grace(self._clock(), grace_days)
        return await self._switch(
            reference, "terminating", "terminate", by, versions, reason=reason, terminate_at=ends
        )

    async def switch(self, reference: str, state: TenantState) -> Tenant:
        """Suspend a tenant or resume it, for no particular reason."""
        if state == "suspended":
            return await self.suspend(reference, reason="Suspended by an operator.")
        return await self.resume(reference)

    async def set_quota(
        self,
        reference: str,
        versions: frozenset[int] | None = None,
        *,
        plan: str | None = None,
        quotas: dict[str, Any] | None = None,
        by: By | None = None,
    ) -> Tenant:
        """Give a tenant another plan, or limits of its own; `None` gives back the plan's.

        Webhooks are taken again at once where a day's quota was used up and no longer is.

        Raises:
            NotFound: there is no such tenant.
            PreconditionFailed: operators have changed it by now.
            Invalid: there is no such plan or quota, or the limit is none.
            Conflict: it is the platform's own.
        """
        place = await self._place(reference)
        rules.check_ordinary(place.tenant_id)
        now = self._clock()
        today = now.astimezone(UTC).date()
        async with self._database.operator(place.tenant_id) as conn:
            before = _there(await store.lock(conn, place.tenant_id), reference)
            check(rules.operators_version(before), versions)
            chosen: Plan = before.plan if plan is None else plans.check_plan(plan)
            own = plans.changed(before.quotas, quotas or {})
            day = await counters.day_raw(conn, before.id, today, today - self._retention)
            is_used_up = plans.is_used_up(day, plans.limits_of(chosen, own))
            blocked_until = plans.next_day(now) if is_used_up else None
            if (chosen, own, blocked_until) == (before.plan, before.quotas, before.blocked_until):
                return before
            after = await store.set_quota(conn, before.id, chosen, own, blocked_until)
            await outbox.add_tenant(conn, before.id)
            entry = entry_of("quota", before.id, by, plan=chosen, quotas=own)
            await audit.add_raw(conn, before.id, entry)
        return after

    async def usage(self, reference: str) -> Usage:
        """Return what a tenant uses of what it may.

        Raises:
            NotFound: there is no such tenant.
            DatabaseUnavailable: its shard is away.
        """
        place = await self._place(reference)
        now = self._clock()
        today = now.astimezone(UTC).date()
        async with self._database.operator(place.tenant_id) as conn:
            tenant = _there(await store.get(conn, place.tenant_id), reference)
            counts = await counters.count_raw(conn, tenant.id, counters.MADE)
            day = await counters.day_raw(conn, tenant.id, today, today - self._retention)
        return quotas.usage(tenant, counts, day, now)

    async def _switch(
        self,
        reference: str,
        state: TenantState,
        verb: str,
        by: By | None,
        versions: frozenset[int] | None,
        *,
        reason: str | None = None,
        terminate_at: datetime | None = None,
    ) -> Tenant:
        """Write a state, who wanted it and why, and that gateways must know: or nothing of it."""
        place = await self._place(reference)
        async with self._database.operator(place.tenant_id) as conn:
            found = _there(await store.lock(conn, place.tenant_id), reference)
            check(rules.operators_version(found), versions)
            if not rules.switch(found, state):
                if state == "active":
                    raise Conflict(f"{found.slug} is active.")
                if not rules.ends_sooner(found, terminate_at):
                    return found
            after = await store.set_state(
                conn,
                found.id,
                state,
                reason=reason,
                terminate_at=terminate_at,
                ends_tokens=state != "active",
            )
            await outbox.add_tenant(conn, found.id)
            entry = entry_of(verb, found.id, by, reason=reason, terminate_at=terminate_at)
            await audit.add_raw(conn, found.id, entry)
        return after

    async def _claim(self, wanted: Placement, shard: int | None) -> Placement:
        """Claim a slug for a tenant to be, or go on with a claim that has no tenant yet."""
        async with self._database.control() as conn:
            chosen = await self._shards.place(conn, shard)
            wanted = Placement(
                wanted.tenant_id, wanted.slug, wanted.name, chosen, "shared", wanted.created_at
            )
            held = await store.find_place(conn, wanted.slug, None)
            if held is None:
                if not await store.add_place(conn, wanted):
                    raise _taken(wanted.slug)
                return wanted
            is_signup = await store.is_signup(conn, held.tenant_id)
        if is_signup or (await self._look([held]))[0].state != "provisioning":
            raise _taken(wanted.slug)
        async with self._database.control() as conn:
            await store.rename_place(conn, held.tenant_id, wanted.name)
        return held

    async def _place(self, reference: str) -> Placement:
        async with self._database.control() as conn:
            found = await store.find_place(conn, reference, _as_id(reference))
        if found is None:
            raise NotFound(f"There is no tenant {reference}.")
        return found

    async def _on(self, shard: int) -> Any:
        await self._database.shards()
        return self._database.shard(shard)

    async def _look(self, places: Sequence[Placement]) -> list[Listed]:
        """Return the tenants of places, asking all of their shards at once."""
        shards = {place.shard for place in places}
        answers = await asyncio.gather(
            *(
                self._read(shard, [p.tenant_id for p in places if p.shard == shard])
                for shard in shards
            )
        )
        answered = {shard: found is not None for shard, found in zip(shards, answers, strict=True)}
        tenants = {tenant.id: tenant for found in answers for tenant in found or ()}
        return [
            Listed(place, tenants.get(place.tenant_id), answered[place.shard]) for place in places
        ]

    async def _read(self, shard: int, tenant_ids: list[UUID]) -> list[Tenant] | None:
        try:
            async with (await self._on(shard)).directory() as conn:
                return await store.some(conn, tenant_ids)
        except Unavailable:
            return None


def _there(found: Tenant | None, reference: str | None = None) -> Tenant:
    if found is None:
        raise NotFound(None if reference is None else f"There is no tenant {reference}.")
    return found


def _taken(slug: str) -> Conflict:
    return Conflict(f"There is a tenant with the slug {slug} already.")


def entry_of(verb: str, tenant_id: UUID, by: By | None, **detail: Any) -> Entry:
    """Return what the audit tells of something that an operator did to a tenant."""
    by = by or By()
    return Entry(
        action=f"tenant.{verb}",
        actor_kind="system" if by.operator_id is None else "operator",
        actor_id=by.operator_id,
        target=ids.encode("ten", tenant_id),
        address=by.address,
        detail=detail_of(by, **detail),
    )


def _as_id(reference: str) -> UUID | None:
    try:
        return ids.decode("ten", reference)
    except NotFound:
        return None
