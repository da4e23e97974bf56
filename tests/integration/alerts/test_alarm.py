"""Alerts: raised once, told to the owners by mail, listed and resolved."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from crossdock import ids
from crossdock.alerts.service import QUOTA, Alarm, Alerts, resolve_past
from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.mail.letters import Letters
from crossdock.mail.model import Mail
from crossdock.paging import Window
from tests.beds.post import POSTBOX

ALARM = Alarm(POSTBOX, Letters("https://hooks.example.com"))
FULL: dict[str, Any] = {
    "kind": QUOTA,
    "subject": "api_keys",
    "level": 80,
    "period": "2026-11-23",
    "detail": {"used": 8, "limit": 10},
}


class AlertBed:
    """A tenant with people, and its letters."""

    def __init__(self, database: Databases, admin: asyncpg.Connection) -> None:
        self.database = database
        self.admin = admin
        self.tenant_id = ids.new()
        self.alerts = Alerts(database)

    async def prepare(self) -> None:
        """Make the tenant: two owners, one of them disabled, and an admin."""
        await self.admin.execute(
            "INSERT INTO crossdock.tenants (id, slug, name) VALUES ($1, $1::uuid::text, 'Müller')",
            self.tenant_id,
        )
        for name, state, roles in (
            ("owner", "active", ["viewer", "owner"]),
            ("gone", "disabled", ["owner"]),
            ("admin", "active", ["admin"]),
            ("second", "active", ["owner"]),
        ):
            await self.admin.execute(
                "INSERT INTO crossdock.users (tenant_id, id, email, name, state, roles)"
                " VALUES ($1, $2, $3, $3, $4, $5)",
                self.tenant_id,
                ids.new(),
                f"{name}@example.com",
                state,
                roles,
            )

    async def raise_once(self, way: str, **changes: Any) -> bool:
        """Raise an alert by a service inside the tenant, or by a duty."""
        if way == "tenant":
            async with self.database.tenant(self.tenant_id) as conn:
                return await ALARM.raise_once(conn, self.tenant_id, **FULL | changes)
        shard = await self.database.shard_of(self.tenant_id)
        async with shard.maintenance() as raw:
            return await ALARM.raise_once_raw(raw, self.tenant_id, **FULL | changes)

    async def mails(self) -> list[Mail]:
        """The tenant's letters, oldest first."""
        rows = await self.admin.fetch(
            "SELECT id, sealed FROM crossdock.mails WHERE tenant_id = $1 ORDER BY id",
            self.tenant_id,
        )
        return [POSTBOX.open(self.tenant_id, row["id"], row["sealed"]) for row in rows]

    async def listed(self, *, is_open: bool | None = None) -> list[tuple[str, int, str]]:
        """Subject, level and period of the alerts, newest first."""
        found = await self.alerts.page(self.tenant_id, Window(), is_open=is_open)
        return [(alert.subject, alert.level, alert.period) for alert in found.items]


@pytest.fixture
async def bed(
    fresh_database: DatabaseSettings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[AlertBed]:
    name = fresh_database.url.rpartition("/")[2]
    admin = await asyncpg.connect(postgres_server.admin_url(name))
    database = await Databases.open(fresh_database, {"app", "maintenance", "operator"})
    found = AlertBed(database, admin)
    await found.prepare()
    yield found
    await database.close()
    await admin.close()


@pytest.mark.parametrize("way", ["tenant", "duty"])
async def test_an_alert_is_raised_once_and_told_to_the_owners(bed: AlertBed, way: str) -> None:
    assert await bed.raise_once(way)
    mails = await bed.mails()
    assert [mail.to for mail in mails] == ["owner@example.com", "second@example.com"]
    assert mails[0].subject == "Müller has used 80 % of its live API keys"
    assert "8 of 10" in mails[0].text
    assert not await bed.raise_once(way)
    assert not await bed.raise_once("duty" if way == "tenant" else "tenant")
    assert len(await bed.mails()) == 2
    [alert] = (await bed.alerts.page(bed.tenant_id, Window())).items
    assert (alert.kind, alert.detail, alert.resolved_at) == (QUOTA, FULL["detail"], None)


@pytest.mark.parametrize("way", ["tenant", "duty"])
async def test_of_many_at_once_one_is_new(bed: AlertBed, way: str) -> None:
    found = await asyncio.gather(*(bed.raise_once(way) for _ in range(4)))
    assert sorted(found) == [False, False, False, True]
    assert len(await bed.mails()) == 2


async def test_another_level_subject_or_period_is_another_alert(bed: AlertBed) -> None:
    assert await bed.raise_once("tenant")
    assert await bed.raise_once("tenant", level=100)
    assert await bed.raise_once("duty", subject="users")
    assert await bed.raise_once("duty", period="2026-11-24")
    assert await bed.listed() == [
        ("api_keys", 80, "2026-11-24"),
        ("users", 80, "2026-11-23"),
        ("api_keys", 100, "2026-11-23"),
        ("api_keys", 80, "2026-11-23"),
    ]
    assert len(await bed.mails()) == 8


async def test_an_alert_of_a_transaction_that_failed_was_never_there(bed: AlertBed) -> None:
    async def fail() -> None:
        async with bed.database.tenant(bed.tenant_id) as conn:
            assert await ALARM.raise_once(conn, bed.tenant_id, **FULL)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await bed.listed() == []
    assert await bed.mails() == []
    assert await bed.raise_once("tenant")


async def test_an_operator_raises_one_inside_the_tenant(bed: AlertBed) -> None:
    async with bed.database.operator(bed.tenant_id) as conn:
        await ALARM.raise_once_raw(
            conn,
            bed.tenant_id,
            kind="shard",
            subject="move",
            level=1,
            detail={"message": "You move tonight."},
        )
    mails = await bed.mails()
    assert mails[0].subject == "Müller: shard of move"
    assert "You move tonight." in mails[0].text


async def test_what_has_passed_is_resolved(bed: AlertBed) -> None:
    for period in ("2026-11-22", "2026-11-23", "2026-11-24"):
        await bed.raise_once("tenant", period=period)
    await bed.raise_once("tenant", subject="users", period="")
    shard = await bed.database.shard_of(bed.tenant_id)
    await resolve_past(shard, clock=lambda: datetime(2026, 11, 23, 23, 59, tzinfo=UTC))
    assert await bed.listed(is_open=False) == [("api_keys", 80, "2026-11-22")]
    async with bed.database.tenant(bed.tenant_id) as conn:
        await ALARM.resolve(conn, bed.tenant_id, QUOTA, "users")
    assert await bed.listed(is_open=True) == [
        ("api_keys", 80, "2026-11-24"),
        ("api_keys", 80, "2026-11-23"),
    ]
    # Told once is told: it does not come back in the same period.
    assert not await bed.raise_once("tenant", subject="users", period="")
