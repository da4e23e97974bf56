"""Refusals written down and read back; and what happens while nobody can write."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from crossdock import ids
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.inbound.refusals import Recorder, Refusal, RefusalCount, Refusals, Writer
from crossdock.inbound.refusals import store as refusals_store
from crossdock.paging import Window
from tests.beds.world import Tenant, World, fresh, tenant

NOW = datetime(2026, 5, 17, 23, 59, 59, tzinfo=UTC)

Note = Callable[..., Refusal]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def writer(recorder: Recorder, databases: Databases) -> Writer:
    return Writer(recorder, databases, lambda: NOW)


@pytest.fixture
def refusals(databases: Databases) -> Refusals:
    return Refusals(databases, lambda: NOW)


@pytest.fixture
def note(recorder: Recorder) -> Note:
    """Notes a refusal as a gateway does."""

    def one(owner: Tenant, source: UUID, reason: str = "signature-invalid") -> Refusal:
        found = Refusal(
            id=ids.new(),
            reason=reason,
            detail="The signature does not match.",
            method="POST",
            address="192.0.2.1",
            headers=[("stripe-signature", "***"), ("content-type", "text/plain")],
            size=12,
            body_sha256=bytes(32),
        )
        key = owner.id.bytes, source.bytes
        if recorder.count(key, reason):
            recorder.keep(key, found)
        return found

    return one


async def added(world: World, sources: int = 1) -> Tenant:
    owner = tenant(sources=sources)
    await world.add(owner)
    return owner


async def test_what_was_noted_is_read_newest_first(
    world: World, writer: Writer, refusals: Refusals, note: Note
) -> None:
    owner = await added(world, sources=2)
    one, other = owner.sources
    noted = [note(owner, one, "too-large"), note(owner, one), note(owner, other)]

    await writer.flush()

    page = await refusals.page(owner.id, one, Window())
    assert list(page.items) == [noted[1], noted[0]]
    assert not page.more
    first = await refusals.page(owner.id, one, Window(limit=1))
    assert (list(first.items), first.more) == ([noted[1]], True)
    rest = await refusals.page(owner.id, one, Window(after=noted[1].id))
    assert list(rest.items) == [noted[0]]


async def test_numbers_are_by_day_and_reason(
    world: World, recorder: Recorder, databases: Databases, refusals: Refusals, note: Note
) -> None:
    owner = await added(world)
    (source,) = owner.sources
    days = [NOW.replace(day=day) for day in (10, 16, 17, 17)]
    for day in days:
        for _ in range(3):
            note(owner, source)
        note(owner, source, "too-large")
        await Writer(recorder, databases, lambda day=day: day).flush()  # type: ignore[misc]

    assert await refusals.counts(owner.id, source, 2) == [
        RefusalCount(date(2026, 5, 17), "signature-invalid", 6),
        RefusalCount(date(2026, 5, 17), "too-large", 2),
        RefusalCount(date(2026, 5, 16), "signature-invalid", 3),
        RefusalCount(date(2026, 5, 16), "too-large", 1),
    ]
    assert len(await refusals.counts(owner.id, source, 1)) == 2
    assert len(await refusals.counts(owner.id, source, 10_000)) == 6


async def test_only_the_newest_are_kept(
    world: World,
    writer: Writer,
    refusals: Refusals,
    note: Note,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refusals_store, "KEPT", 5)
    owner = await added(world, sources=2)
    source, other = owner.sources
    bystander = note(owner, other)
    noted = []
    for _ in range(4):
        noted += [note(owner, source, reason) for reason in ("a", "b", "c")]
        await writer.flush()

    found = await refusals.page(owner.id, source, Window())
    assert list(found.items) == noted[:-6:-1]
    assert list((await refusals.page(owner.id, other, Window())).items) == [bystander]


async def test_nobody_reads_anothers(
    world: World, writer: Writer, refusals: Refusals, note: Note
) -> None:
    owner, other = await added(world), await added(world)
    (source,) = owner.sources
    note(owner, source)
    await writer.flush()

    assert not (await refusals.page(other.id, source, Window())).items
    assert not await refusals.counts(other.id, source, 30)


async def test_a_tenant_that_is_gone_is_nobodys_trouble(
    world: World, recorder: Recorder, writer: Writer, refusals: Refusals, note: Note
) -> None:
    gone, owner = Tenant(fresh(), (fresh(),)), await added(world)
    note(gone, gone.sources[0])
    kept = note(owner, owner.sources[0])

    with capture_logs() as logs:
        await writer.flush()

    assert not [line for line in logs if line["event"].startswith("refusals")]
    assert list((await refusals.page(owner.id, owner.sources[0], Window())).items) == [kept]
    assert recorder.take() == {}


async def test_while_the_database_is_away_they_wait(
    private_postgres: EmbeddedPostgres, recorder: Recorder, note: Note
) -> None:
    databases = await Databases.open(private_postgres.settings(), ["app", "operator", "directory"])
    try:
        writer, refusals = Writer(recorder, databases, lambda: NOW), Refusals(databases)
        owner = tenant()
        async with databases.shard(0).founding(owner.id) as connection:
            await connection.execute(
                "INSERT INTO crossdock.tenants (id, slug, name) VALUES ($1, 'one', 'One')", owner.id
            )
        (source,) = owner.sources
        private_postgres.kill()
        noted = [note(owner, source)]
        await writer.flush()
        noted.append(note(owner, source))
        await writer.flush()

        private_postgres.start()
        await writer.flush()
        if not (await refusals.page(owner.id, source, Window())).items:
            await writer.flush()  # a pool may hold a connection that was cut

        found = await refusals.page(owner.id, source, Window())
        assert list(found.items) == noted[::-1]
        assert [
            one.count for one in await Refusals(databases, lambda: NOW).counts(owner.id, source, 1)
        ] == [2]
    finally:
        await databases.close()
