"""Quotas hold however many ask at once, and what is near its end is told once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from crossdock import ids
from crossdock.access.permissions import PERMISSIONS
from crossdock.access.service import ApiKeys
from crossdock.alerts.service import Alarm
from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.delivery.destinations.model import DestinationEdit
from crossdock.delivery.destinations.service import Destinations
from crossdock.delivery.guard import Guard
from crossdock.delivery.model import ReplayFilter
from crossdock.delivery.replays.service import Replays
from crossdock.errors import Conflict, Invalid, QuotaReached
from crossdock.inbound.model import SourceEdit
from crossdock.inbound.sources.service import Sources
from crossdock.mail.letters import Letters
from crossdock.mail.service import Postbox
from crossdock.secrets.seal import Sealer
from crossdock.tenancy import plans
from crossdock.tenancy.model import Tenant
from crossdock.tenancy.own import OwnTenant
from crossdock.tenancy.quotas import Meter
from crossdock.tenancy.quotas.telling import Teller
from crossdock.tenancy.rules import PLATFORM
from crossdock.tenancy.service import Tenants

LIMIT = 5
AT_ONCE = 50
NewTenant = Callable[..., Awaitable[Tenant]]
Make = Callable[[UUID], Awaitable[Any]]


@pytest.fixture(scope="module")
async def patient(settings: Settings) -> AsyncIterator[Databases]:
    """A database in which fifty who wait for each other are not sent away."""
    waiting = replace(settings.database, acquire_timeout_s=30.0)
    found = await Databases.open(waiting, {"app", "control"})
    yield found
    await found.close()


@pytest.fixture(scope="module")
def makers(settings: Settings, patient: Databases) -> dict[str, Make]:
    """What makes one more of each thing that is counted where it is made."""
    numbers = count()
    sealer = Sealer.from_text(settings.keys.sources, setting="x")
    sources = Sources(patient, sealer, max_body_bytes=1000)
    destinations = Destinations(patient, sealer, Guard((), allow_loopback=True), timeout_s=1)
    api_keys = ApiKeys(patient, environment="test")
    replays = Replays(patient)

    async def source(tenant_id: UUID) -> Any:
        return await sources.create(tenant_id, "none", SourceEdit(name=f"s{next(numbers)}"), ())

    async def destination(tenant_id: UUID) -> Any:
        edit = DestinationEdit(name=f"d{next(numbers)}", url="http://127.0.0.1:9/")
        return await destinations.create(tenant_id, edit)

    async def api_key(tenant_id: UUID) -> Any:
        some = frozenset({"sources:read"})
        return await api_keys.create(tenant_id, name="k", permissions=some, held=PERMISSIONS)

    async def replay(tenant_id: UUID) -> Any:
        return await replays.create(tenant_id, ReplayFilter())

    return {
        "sources": source,
        "destinations": destination,
        "api_keys": api_key,
        "concurrent_jobs": replay,
    }


RESOURCES = ("sources", "destinations", "api_keys", "concurrent_jobs")


async def alerts_of(admin: asyncpg.Connection, tenant: Tenant, subject: str) -> list[int]:
    rows = await admin.fetch(
        "SELECT level FROM crossdock.alerts WHERE tenant_id = $1 AND subject = $2 ORDER BY level",
        tenant.id,
        subject,
    )
    return [row["level"] for row in rows]


@pytest.mark.parametrize("resource", RESOURCES)
async def test_fifty_at_once_never_pass_the_limit(
    *,
    tenants: Tenants,
    new_tenant: NewTenant,
    makers: dict[str, Make],
    admin: asyncpg.Connection,
    database: Databases,
    resource: str,
) -> None:
    tenant = await new_tenant()
    await tenants.set_quota(tenant.slug, quotas={resource: LIMIT})
    make = makers[resource]

    outcomes = await asyncio.gather(
        *(make(tenant.id) for _ in range(AT_ONCE)), return_exceptions=True
    )

    refused = [outcome for outcome in outcomes if isinstance(outcome, QuotaReached)]
    assert len(refused) == AT_ONCE - LIMIT, [o for o in outcomes if isinstance(o, Exception)][:3]
    assert f"quota {resource}" in str(refused[0])
    assert str(LIMIT) in str(refused[0])
    assert await alerts_of(admin, tenant, resource) == [80, 100]
    usage = await OwnTenant(database).usage(tenant.id)
    assert usage.shares[resource] == plans.share(LIMIT, LIMIT)
    assert await tenants.usage(tenant.slug) == usage


async def test_tenants_do_not_wait_for_each_other(
    tenants: Tenants, new_tenant: NewTenant, makers: dict[str, Make], database: Databases
) -> None:
    one, other = await new_tenant(), await new_tenant()
    await tenants.set_quota(one.slug, quotas={"sources": 1})
    await makers["sources"](one.id)
    await makers["sources"](other.id)
    with pytest.raises(QuotaReached):
        await makers["sources"](one.id)


async def test_a_raised_limit_lets_more_be_made(
    tenants: Tenants, new_tenant: NewTenant, makers: dict[str, Make]
) -> None:
    tenant = await new_tenant()
    await tenants.set_quota(tenant.slug, quotas={"sources": 0})
    with pytest.raises(QuotaReached):
        await makers["sources"](tenant.id)
    changed = await tenants.set_quota(tenant.slug, plan="business", quotas={"sources": None})
    assert (changed.plan, changed.quotas) == ("business", {})
    await makers["sources"](tenant.id)


async def test_what_is_refused_changes_nothing(tenants: Tenants, new_tenant: NewTenant) -> None:
    tenant = await new_tenant()
    for wrong in ({"plan": "enterprise"}, {"quotas": {"moons": 1}}, {"quotas": {"sources": -1}}):
        with pytest.raises(Invalid):
            await tenants.set_quota(tenant.slug, **wrong)
    with pytest.raises(Conflict):
        await tenants.set_quota("platform", plan="free")
    assert await tenants.find(tenant.slug) == tenant
    assert (await tenants.set_quota(tenant.slug, plan="standard")).version == tenant.version


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


async def told(admin: asyncpg.Connection, tenant: Tenant) -> int:
    query = "SELECT count(*) FROM crossdock.outbox WHERE topic = 'tenant' AND tenant_id = $1"
    found: int = await admin.fetchval(query, tenant.id)
    return found


async def test_a_day_ends_at_its_limit_once_for_all_workers(
    tenants: Tenants, new_tenant: NewTenant, database: Databases, admin: asyncpg.Connection
) -> None:
    tenant, neighbour = await new_tenant(), await new_tenant()
    tenant = await tenants.set_quota(tenant.slug, quotas={"events_per_day": 100})
    before = await told(admin, tenant)
    clock = Clock()
    workers = [Meter(database.shard(0), retention_days=30, clock=clock) for _ in range(4)]

    for worker in workers[:2]:
        worker.add((tenant.id, 10) for _ in range(39))
        worker.add([(neighbour.id, 10)])
    await asyncio.gather(*(worker.flush() for worker in workers))
    assert await alerts_of(admin, tenant, "events_per_day") == []
    workers[0].add((tenant.id, 10) for _ in range(2))
    await workers[0].flush()
    assert await alerts_of(admin, tenant, "events_per_day") == [80]
    assert (await tenants.find(tenant.slug)).blocked_until is None
    for worker in workers:
        worker.add((tenant.id, 10) for _ in range(5))
    await asyncio.gather(*(worker.flush() for worker in workers))

    after = await tenants.find(tenant.slug)
    assert after.blocked_until == plans.next_day(clock.now)
    assert after.version == tenant.version + 1
    assert await told(admin, tenant) == before + 1
    assert await alerts_of(admin, tenant, "events_per_day") == [80, 100]
    assert (await tenants.find(neighbour.slug)).blocked_until is None
    usage = await tenants.usage(tenant.slug)
    assert usage.shares["events_per_day"] == plans.share(100, 100)
    assert usage.shares["bytes_per_day"].used == 1000
    assert usage.blocked_until == after.blocked_until


async def test_a_raised_quota_takes_webhooks_again_and_a_lowered_one_does_not(
    tenants: Tenants, new_tenant: NewTenant, database: Databases, admin: asyncpg.Connection
) -> None:
    tenant = await new_tenant()
    await tenants.set_quota(tenant.slug, quotas={"bytes_per_day": 1000})
    worker = Meter(database.shard(0), retention_days=30)
    worker.add([(tenant.id, 1000)])
    await worker.flush()
    assert (await tenants.find(tenant.slug)).blocked_until is not None
    before = await told(admin, tenant)

    raised = await tenants.set_quota(tenant.slug, quotas={"bytes_per_day": 2000})
    assert raised.blocked_until is None
    assert await told(admin, tenant) == before + 1
    worker.add([(tenant.id, 1)])
    await worker.flush()
    assert (await tenants.find(tenant.slug)).blocked_until is None
    lowered = await tenants.set_quota(tenant.slug, quotas={"bytes_per_day": 500})
    assert lowered.blocked_until is not None


async def test_stored_events_are_those_of_the_days_that_are_kept(
    tenants: Tenants, new_tenant: NewTenant, database: Databases, admin: asyncpg.Connection
) -> None:
    tenant = await new_tenant()
    await tenants.set_quota(tenant.slug, quotas={"stored_events": 50})
    clock = Clock()
    today = clock.now.date()
    for days, events in ((0, 0), (1, 20), (29, 20), (30, 1000)):
        await admin.execute(
            "INSERT INTO crossdock.usage_days VALUES ($1, $2, $3, 0)",
            tenant.id,
            today - timedelta(days=days),
            events,
        )
    worker = Meter(database.shard(0), retention_days=30, clock=clock)
    worker.add((tenant.id, 1) for _ in range(9))
    await worker.flush()
    assert await alerts_of(admin, tenant, "stored_events") == [80]
    worker.add([(tenant.id, 1)])
    await worker.flush()
    assert (await tenants.usage(tenant.slug)).shares["stored_events"].used == 50
    assert (await tenants.find(tenant.slug)).blocked_until == plans.next_day(clock.now)
    clock.now = plans.next_day(clock.now)
    worker.add([(tenant.id, 1)])
    await worker.flush()
    # The oldest day went with midnight, so there is room: 20 of yesterday-but-one, 10, and 1.
    assert (await tenants.find(tenant.slug)).blocked_until == clock.now


async def test_what_could_not_be_written_is_written_later(
    new_tenant: NewTenant, database: Databases, tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await new_tenant()
    closed = await Databases.open(database.shard(0).settings, {"maintenance"})
    worker = Meter(closed.shard(0), retention_days=30)
    await closed.close()
    worker.add([(tenant.id, 7)])
    with pytest.raises(Exception, match=r"clos|away"):
        await worker.flush()
    worker.add([(tenant.id, 7)])
    monkeypatch.setattr(worker, "_database", database.shard(0))
    await worker.flush()
    assert (await tenants.usage(tenant.slug)).shares["events_per_day"].used == 2


async def test_events_of_no_tenant_are_passed_over(database: Databases) -> None:
    worker = Meter(database.shard(0), retention_days=30)
    worker.add([(ids.new(), 1), (PLATFORM, 1)])
    await worker.flush()


async def test_owners_get_a_letter_for_each_alert_once(
    *,
    settings: Settings,
    tenants: Tenants,
    new_tenant: NewTenant,
    makers: dict[str, Make],
    database: Databases,
    admin: asyncpg.Connection,
) -> None:
    tenant = await new_tenant()
    for email, roles in (("ann@example.com", ["owner"]), ("bob@example.com", ["viewer"])):
        await admin.execute(
            "INSERT INTO crossdock.users (tenant_id, id, email, name, roles)"
            " VALUES ($1, $2, $3, 'x', $4)",
            tenant.id,
            ids.new(),
            email,
            roles,
        )
    await tenants.set_quota(tenant.slug, quotas={"sources": 5, "events_per_day": 1})
    for _ in range(5):
        await makers["sources"](tenant.id)
    worker = Meter(database.shard(0), retention_days=30)
    worker.add([(tenant.id, 1)])
    await worker.flush()
    postbox = Postbox(Sealer.from_text(settings.keys.mail, setting="x"))
    tellers = [Teller(database.shard(0), Alarm(postbox, Letters("http://x"))) for _ in range(3)]
    await asyncio.gather(*(teller.work() for teller in tellers))
    await asyncio.gather(*(teller.work() for teller in tellers))

    rows = await admin.fetch(
        "SELECT id, sealed FROM crossdock.mails WHERE tenant_id = $1", tenant.id
    )
    mails = [postbox.open(tenant.id, row["id"], row["sealed"]) for row in rows]
    assert [mail.to for mail in mails] == ["ann@example.com"] * 3
    subjects = sorted(mail.subject for mail in mails)
    assert [("80 %" in subject, "events" in subject) for subject in subjects] == [
        (False, True),
        (False, False),
        (True, False),
    ], subjects
