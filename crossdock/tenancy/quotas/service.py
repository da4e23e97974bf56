"""Quotas of what is made: taken in the transaction that makes it, so that nobody gets past one."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import structlog

from crossdock.alerts import store as alerts
from crossdock.errors import NotFound, QuotaReached
from crossdock.tenancy import plans
from crossdock.tenancy.model import Day, Made, Tenant, Usage
from crossdock.tenancy.quotas import rules, store

log = structlog.get_logger(__name__)


async def take(
    conn: store.Connection,
    tenant_id: UUID,
    resource: Made,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Make room for one more of something, in the transaction that will make it.

    Whoever makes another of them at the same time waits until that transaction ends. At 80 % and
    at 100 % the tenant is told, once a day.

    Raises:
        QuotaReached: the tenant has as many as it may.
        NotFound: there is no such tenant here.
    """
    held = await store.hold(conn, tenant_id, resource)
    if held is None:
        raise NotFound
    limit = plans.limits_of(*held)[resource]
    if limit is None:
        return
    used = (await store.count(conn, tenant_id, [resource]))[resource]
    try:
        plans.check_room(resource, used, limit)
    except QuotaReached:
        log.warning("quota_reached", tenant=tenant_id, quota=resource, used=used, limit=limit)
        raise
    alert = rules.alert(tenant_id, resource, used + 1, limit, clock())
    if alert is not None and await alerts.add(conn, alert):
        await store.add_telling(conn, alert)


def usage(tenant: Tenant, counts: dict[Made, int], day: Day, now: datetime) -> Usage:
    """Return what a tenant uses of what it may."""
    limits = plans.limits_of(tenant.plan, tenant.quotas)
    used: dict[str, int] = dict(counts.items())
    used |= {quota: counted for quota, (counted, _) in plans.of_day(day, limits).items()}
    blocked_until = tenant.blocked_until
    return Usage(
        plan=tenant.plan,
        day=now.astimezone(UTC).date(),
        shares={name: plans.share(used.get(name), limits[name]) for name in plans.QUOTAS},
        blocked_until=blocked_until if blocked_until and blocked_until > now else None,
    )
