"""What is raised of what is in the database, told by letters, and resolved when it has passed."""

import asyncio
from datetime import timedelta

import pytest

from crossdock import ids
from crossdock.access.model import Actor, Principal
from tests.beds.alerting import HOUR, MINUTE, AlertBed

TEN = 10 * MINUTE


async def test_a_failing_destination_is_told_once_and_so_is_its_recovery(
    watched: AlertBed,
) -> None:
    tenant = await watched.tenant()
    since = watched.now
    failing = await watched.destination(tenant, name="Billing", failing_since=since)
    await watched.pass_by(TEN - timedelta(seconds=1))
    assert await watched.kinds(tenant) == []
    await watched.pass_by(timedelta(seconds=1))
    await watched.pass_by(timedelta(hours=30))
    [alert] = await watched.listed(tenant)
    assert (alert.kind, alert.subject) == ("destination_failing", ids.encode("dst", failing))
    assert alert.detail["name"] == "Billing"
    assert await watched.subjects(tenant) == ["“Billing” fails"]
    [mail] = await watched.mails(tenant)
    assert f"https://hooks.example.com/v1/destinations/{alert.subject}'" in mail.text

    await watched.change(failing, failing_since=None)
    await watched.pass_by(MINUTE)
    await watched.pass_by(MINUTE)
    [alert] = await watched.listed(tenant)
    assert alert.resolved_at == watched.now - MINUTE
    assert alert.detail["resolved_because"] == "answers"
    assert await watched.subjects(tenant) == ["“Billing” fails", "“Billing” answers again"]


async def test_one_that_comes_and_goes_is_told_once_an_hour(watched: AlertBed) -> None:
    tenant = await watched.tenant()
    flapping = await watched.destination(tenant, failing_since=watched.now - HOUR)
    for _ in range(30):
        await watched.pass_by(MINUTE)
        await watched.change(flapping, failing_since=None)
        await watched.pass_by(MINUTE)
        await watched.change(flapping, failing_since=watched.now - HOUR)
    assert len(await watched.listed(tenant)) == 1
    await watched.pass_by(2 * MINUTE)
    assert await watched.kinds(tenant) == [
        ("destination_failing", False),
        ("destination_failing", True),
    ]


@pytest.mark.parametrize("reason", ["failing", "gone"])
async def test_one_that_was_disabled_is_told_and_so_is_that_it_is_enabled(
    watched: AlertBed, reason: str
) -> None:
    tenant = await watched.tenant()
    columns = {"state": "disabled", "disabled_reason": reason, "disabled_at": watched.now}
    disabled = await watched.destination(tenant, name="Billing", **columns)
    await watched.pass_by(MINUTE)
    await watched.pass_by(MINUTE)
    assert await watched.kinds(tenant) == [("destination_disabled", True)]
    [mail] = await watched.mails(tenant)
    assert mail.subject == "Müller: “Billing” was disabled"
    assert ("410" in mail.text) == (reason == "gone")
    await watched.change(disabled, state="enabled", disabled_reason=None)
    await watched.pass_by(MINUTE)
    assert await watched.kinds(tenant) == [("destination_disabled", False)]
    assert await watched.subjects(tenant) == [
        "“Billing” was disabled",
        "“Billing” is enabled again",
    ]


async def test_what_its_owner_did_is_no_news(watched: AlertBed) -> None:
    tenant = await watched.tenant()
    failing = await watched.destination(tenant, failing_since=watched.now - HOUR)
    await watched.destination(tenant, state="disabled", disabled_reason="by_owner")
    await watched.pass_by(MINUTE)
    assert await watched.kinds(tenant) == [("destination_failing", True)]
    await watched.change(failing, state="disabled", disabled_reason="by_owner")
    await watched.pass_by(MINUTE)
    [alert] = await watched.listed(tenant)
    assert alert.detail["resolved_because"] == "disabled"
    assert len(await watched.mails(tenant)) == 1


async def test_dead_letters_of_an_hour_are_counted_by_when_they_died(watched: AlertBed) -> None:
    tenant = await watched.tenant()
    first, second = [await watched.destination(tenant, name=name) for name in ("Ears", "Eyes")]
    await watched.die(tenant, first, 9)
    await watched.die(tenant, second, 9)
    await watched.pass_by(MINUTE)
    assert await watched.kinds(tenant) == []
    await watched.die(tenant, second, 1)
    await watched.pass_by(MINUTE)
    [alert] = await watched.listed(tenant)
    assert (alert.kind, alert.subject) == ("dead_letters", ids.encode("dst", second))
    assert alert.detail["count"] == 10
    assert alert.detail["reasons"] == {"rejected": 10}
    [mail] = await watched.mails(tenant)
    assert "Eyes" in mail.text
    assert "rejected (10)" in mail.text
    assert "Its last answer was 400" in " ".join(mail.text.split())
    # Sixty minutes later nine of them count no more; it is over once the hour is.
    await watched.pass_by(HOUR - MINUTE)
    assert await watched.kinds(tenant) == [("dead_letters", True)]
    await watched.pass_by(MINUTE)
    assert await watched.kinds(tenant) == [("dead_letters", False)]
    assert len(await watched.mails(tenant)) == 2


async def test_dead_letters_about_alerts_do_not_count(watched: AlertBed) -> None:
    tenant = await watched.tenant()
    listener = await watched.destination(tenant)
    await watched.die(tenant, listener, 30, of="crossdock.alert.raised")
    await watched.die(tenant, listener, 9)
    await watched.pass_by(MINUTE)
    assert await watched.kinds(tenant) == []
    await watched.die(tenant, listener, 1)
    await watched.pass_by(MINUTE)
    assert await watched.kinds(tenant) == [("dead_letters", True)]


async def test_a_source_that_refuses_is_told_by_the_hour_not_by_the_day(
    watched: AlertBed,
) -> None:
    watched.now = watched.now.replace(minute=0, second=0, microsecond=0) + 50 * MINUTE
    tenant = await watched.tenant()
    shop = await watched.source(tenant, name="Shop")
    for _ in range(6):  # 180 in six hours
        await watched.refuse(tenant, shop, 30)
        await watched.pass_by(HOUR)
    assert await watched.kinds(tenant) == []
    await watched.refuse(tenant, shop, 30)
    await watched.pass_by(15 * MINUTE)  # it is five past
    await watched.refuse(tenant, shop, 30)
    await watched.pass_by(MINUTE)
    [alert] = await watched.listed(tenant)
    assert (alert.kind, alert.subject) == ("source_refusing", ids.encode("src", shop))
    assert 50 <= alert.detail["count"] <= 60
    [mail] = await watched.mails(tenant)
    assert mail.subject == "Müller: “Shop” refuses webhooks"
    assert "signature-invalid" in mail.text
    await watched.pass_by(2 * HOUR)
    assert await watched.kinds(tenant) == [("source_refusing", False)]
    assert len(await watched.mails(tenant)) == 2


async def test_a_paused_source_refuses_as_it_was_told_to(watched: AlertBed) -> None:
    tenant = await watched.tenant()
    source = await watched.source(tenant, state="paused")
    await watched.refuse(tenant, source, 1000)
    await watched.pass_by(MINUTE)
    assert await watched.kinds(tenant) == []


async def test_what_is_deleted_is_resolved_without_a_word(watched: AlertBed) -> None:
    tenant = await watched.tenant()
    gone = await watched.destination(tenant, failing_since=watched.now - HOUR)
    source = await watched.source(tenant)
    await watched.refuse(tenant, source, 50)
    await watched.pass_by(MINUTE)
    assert [open_ for _, open_ in await watched.kinds(tenant)] == [True, True]
    await watched.admin.execute("DELETE FROM crossdock.destinations WHERE id = $1", gone)
    await watched.admin.execute(
        "UPDATE crossdock.sources SET state = 'deleted' WHERE id = $1", source
    )
    await watched.pass_by(MINUTE)
    assert [open_ for _, open_ in await watched.kinds(tenant)] == [False, False]
    assert len(await watched.mails(tenant)) == 2


async def test_a_tenant_that_is_not_active_hears_nothing(watched: AlertBed) -> None:
    tenant = await watched.tenant(state="suspended")
    await watched.destination(tenant, failing_since=watched.now - HOUR)
    await watched.pass_by(MINUTE)
    assert await watched.kinds(tenant) == []


async def test_two_workers_at_once_tell_once(watched: AlertBed) -> None:
    tenant = await watched.tenant()
    for _ in range(5):
        await watched.destination(tenant, failing_since=watched.now - HOUR)
    watchers = [watched.another() for _ in range(4)]
    turns = await asyncio.gather(*(one.round() for one in watchers))
    assert True in turns
    for one in watchers:
        assert await one.round()
    assert len(await watched.listed(tenant)) == 5
    assert len(await watched.mails(tenant)) == 5


async def test_a_crowd_is_looked_at_page_by_page(watched: AlertBed) -> None:
    tenants = [await watched.tenant() for _ in range(5)]
    for tenant in tenants:
        await watched.destination(tenant, failing_since=watched.now - HOUR)
    watcher = watched.another(at_once=3)
    for _ in range(1 + await watched.admin.fetchval("SELECT count(*) FROM crossdock.destinations")):
        await watcher.round()
    for tenant in tenants:
        assert await watched.kinds(tenant) == [("destination_failing", True)]


async def test_a_tenant_in_great_trouble_gets_twenty_letters_an_hour(watched: AlertBed) -> None:
    tenant = await watched.tenant()
    for _ in range(25):
        await watched.destination(tenant, failing_since=watched.now - HOUR)
    await watched.pass_by(MINUTE)
    assert len(await watched.listed(tenant)) == 25
    mails = await watched.mails(tenant)
    assert len(mails) == 20
    assert ["There were many alerts" in mail.text for mail in mails] == [False] * 19 + [True]


async def test_thresholds_recipients_and_muted_kinds_are_the_tenants_own(
    watched: AlertBed,
) -> None:
    tenant, other = await watched.tenant("ann@example.com"), await watched.tenant()
    by = Principal(tenant, "active", Actor("user", ids.new()), frozenset())
    changes = {
        "emails": ["Bob@example.com", "ann@example.com"],
        "muted": ["destination_failing"],
        "failing_after_s": 60,
        "dead_letters_per_hour": 2,
        "refusals_per_hour": 3,
    }
    await watched.wishes.patch(tenant, changes, None, by=by)
    for one in (tenant, other):
        dying = await watched.destination(one, failing_since=watched.now)
        await watched.die(one, dying, 2)
        await watched.refuse(one, await watched.source(one), 3)
    await watched.pass_by(MINUTE)
    kinds = sorted(kind for kind, _ in await watched.kinds(tenant))
    assert kinds == ["dead_letters", "destination_failing", "source_refusing"]
    told = sorted((mail.to, mail.subject[:12]) for mail in await watched.mails(tenant))
    assert [to for to, _ in told] == ["ann@example.com"] * 2 + ["bob@example.com"] * 2
    assert not any("fails" in subject for subject in await watched.subjects(tenant))
    assert await watched.kinds(other) == []
