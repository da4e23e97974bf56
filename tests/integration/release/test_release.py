"""What was held or quarantined is delivered once it is released: all of it, and each once."""

import asyncio

import pytest

from crossdock.db import Database
from crossdock.errors import BrokerUnavailable
from crossdock.inbound.persist import Persister
from crossdock.inbound.persist import store as persisting
from tests.beds.releasing import INLINE, Doom, Moment, Stock, Told, kill, releaser
from tests.beds.world import Destination, fresh, tenant


async def finish(database: Database, told: Told, stock: Stock, *owners: object) -> int:
    """Work until nothing is asked for any more; return how many turns it took."""
    worker = releaser(database, told, batch=50)
    for turn in range(1, 200):
        await worker.work()
        if not await stock.asked(*owners):  # type: ignore[arg-type]
            return turn
    raise AssertionError("it never ends")


async def test_what_a_source_held_goes_where_it_is_wanted_once_it_is_resumed(
    stock: Stock, database: Database
) -> None:
    source = fresh()
    everything, its = Destination(fresh()), Destination(fresh(), source_ids=(source,))
    paid, other = (
        Destination(fresh(), event_types=("order.*",)),
        Destination(fresh(), event_types=("refund",)),
    )
    failing = Destination(fresh(), state="disabled", disabled_reason="failing")
    one = tenant(everything, its, paid, other, failing)
    await stock.world.add(one)
    held = await stock.hold(one, 120)
    broken = await stock.hold(one, 3, violation="[]")
    told = Told()
    worker = releaser(database, told)
    assert not await worker.work()
    assert await stock.deliveries(held) == []
    await stock.resume(one)
    await finish(database, told, stock, one)
    assert await stock.statuses(held) == ["accepted"]
    assert await stock.statuses(broken) == ["warned"]
    wanted = {everything.id, paid.id, failing.id}
    assert await stock.deliveries(held) == sorted(
        (arrival.event_id, destination) for arrival in held for destination in wanted
    )
    assert told.ids == sorted(told.ids) == sorted(one.event_id for one in [*held, *broken])
    assert {event.status for event in told.events} == {"accepted", "warned"}
    assert told.events[0].body == held[0].message.body
    row = await stock.world.admin.fetchrow(
        "SELECT state, lease, attempts, is_replay, due_at <= now() AS is_due"
        " FROM crossdock.deliveries WHERE event_id = $1 LIMIT 1",
        held[0].event_id,
    )
    assert tuple(row) == ("pending", None, 0, False, True)


async def test_a_quarantined_event_is_released_by_its_owners_word_alone(
    stock: Stock, database: Database
) -> None:
    one = tenant(Destination(fresh()))
    await stock.world.add(one)
    chosen, left = await stock.quarantine(one, 3), await stock.quarantine(one, 3)
    await stock.release(*chosen)
    await stock.release(chosen[0])
    told = Told()
    await finish(database, told, stock, one)
    assert (await stock.statuses(chosen), await stock.statuses(left)) == (
        ["released"],
        ["quarantined"],
    )
    assert len(await stock.deliveries(chosen)) == 3
    assert await stock.deliveries(left) == []
    assert told.ids == [arrival.event_id for arrival in chosen]
    assert {event.status for event in told.events} == {"released"}


async def test_two_workers_at_once_release_each_event_once(
    stock: Stock, database: Database
) -> None:
    owners = [tenant(Destination(fresh())) for _ in range(3)]
    await stock.world.add(*owners)
    held = [arrival for one in owners for arrival in await stock.hold(one, 60)]
    single = [arrival for one in owners for arrival in await stock.quarantine(one, 60)]
    for one in owners:
        await stock.resume(one)
        await stock.resume(one)
    await stock.release(*single)
    told = Told()
    workers = [releaser(database, told, batch=7) for _ in range(4)]
    for _ in range(100):
        await asyncio.gather(*(worker.work() for worker in workers))
    assert not await stock.asked(*owners)
    assert len(await stock.deliveries([*held, *single])) == 360
    assert sorted(told.ids) == sorted(one.event_id for one in [*held, *single])


async def test_a_source_that_is_paused_again_keeps_what_is_left(
    stock: Stock, database: Database
) -> None:
    one = tenant(Destination(fresh()))
    await stock.world.add(one)
    held = await stock.hold(one, 20)
    await stock.resume(one)
    told = Told()
    worker = releaser(database, told, batch=5)
    await worker.work()
    await stock.source(one, "paused")
    while await worker.work():
        pass
    assert len(told.events) == 5
    assert await stock.statuses(held) == ["accepted", "held"]
    assert not await stock.asked(one)
    await stock.resume(one)
    await finish(database, told, stock, one)
    assert told.ids == [arrival.event_id for arrival in held]
    assert len(await stock.deliveries(held)) == 20


async def test_a_request_stays_until_no_straggler_can_come(
    stock: Stock, database: Database
) -> None:
    one = tenant(Destination(fresh()))
    await stock.world.add(one)
    first = await stock.hold(one, 5)
    await stock.resume(one)
    told = Told()
    worker = releaser(database, told, settled_s=3600)
    while await worker.work():
        pass
    assert await stock.asked(one) == 1
    # Stored only now: its worker had looked before the resumption.
    late = await stock.hold(one, 1)
    await stock.source(one, "active")
    while await worker.work():
        pass
    assert told.ids == [arrival.event_id for arrival in [*first, *late]]
    await finish(database, told, stock, one)


async def test_what_is_stored_by_who_looked_before_the_resumption_goes_too(
    stock: Stock, database: Database
) -> None:
    one = tenant(Destination(fresh()))
    await stock.world.add(one)
    await stock.source(one, "paused")
    (late,) = stock.held(one, 1)
    told = Told()
    worker = releaser(database, told)
    async with database.batch("ingest", {one.id}) as conn:
        assert await persisting.paused(conn, {(one.id, one.sources[0])})
        await stock.resume(one)
        for _ in range(5):
            await worker.work()
        assert await stock.asked(one) == 1
        await persisting.add_unkeyed(conn, [late])
    await finish(database, told, stock, one)
    assert told.ids == [late.event_id]


async def test_what_another_source_holds_stays(stock: Stock, database: Database) -> None:
    one = tenant(Destination(fresh()), sources=2)
    await stock.world.add(one)
    mixed = [(await stock.hold(one, 2, source=at % 2), at % 2) for at in range(20)]
    await stock.resume(one)
    told = Told()
    await finish(database, told, stock, one)
    mine = [arrival for arrivals, at in mixed if at == 0 for arrival in arrivals]
    others = [arrival for arrivals, at in mixed if at == 1 for arrival in arrivals]
    assert told.ids == [arrival.event_id for arrival in mine]
    assert await stock.statuses(others) == ["held"]


async def test_bodies_too_large_or_sealed_are_not_announced_with_their_events(
    stock: Stock, database: Database
) -> None:
    one = tenant(Destination(fresh()))
    await stock.world.add(one)
    large = await stock.hold(one, 1, body=b"x" * (INLINE + 1))
    sealed = await stock.hold(one, 1, data_key=fresh().bytes)
    small = await stock.hold(one, 1, body=b"x" * INLINE)
    await stock.resume(one)
    told = Told()
    await finish(database, told, stock, one)
    bodies = {event.event_id: event.body for event in told.events}
    assert bodies == {
        large[0].event_id: None,
        sealed[0].event_id: None,
        small[0].event_id: b"x" * INLINE,
    }


@pytest.mark.parametrize("way", ["held", "quarantined"])
async def test_large_bodies_are_taken_a_few_at_a_time(
    stock: Stock, database: Database, way: str
) -> None:
    one = tenant(Destination(fresh()))
    await stock.world.add(one)
    if way == "held":
        held = await stock.hold(one, 10, body=b"x" * 100_000)
        await stock.resume(one)
    else:
        held = await stock.quarantine(one, 10, body=b"x" * 100_000)
        await stock.release(*held)
    told = Told()
    worker = releaser(database, told, batch_bytes=250_000)
    counts = []
    for _ in range(5):
        await worker.work()
        counts.append(len(told.events))
    assert counts == [2, 4, 6, 8, 10]
    assert len(await stock.deliveries(held)) == 10


async def test_a_tenant_with_thousands_leaves_the_others_their_turns(
    stock: Stock, database: Database
) -> None:
    many, few = tenant(Destination(fresh())), tenant(Destination(fresh()))
    await stock.world.add(many, few)
    await stock.hold(many, 500)
    await stock.release(*await stock.quarantine(many, 500))
    mine = await stock.hold(few, 3)
    await stock.resume(many)
    await stock.resume(few)
    told = Told()
    worker = releaser(database, told, batch=10)
    await worker.work()
    assert {arrival.event_id for arrival in mine} <= set(told.ids)
    assert len(told.events) <= 23


async def test_a_broker_that_is_away_leaves_all_as_it_was(stock: Stock, database: Database) -> None:
    one = tenant(Destination(fresh()))
    await stock.world.add(one)
    held = await stock.hold(one, 3)
    await stock.resume(one)

    class Away(Told):
        async def __call__(self, _: object) -> None:
            raise BrokerUnavailable

    with pytest.raises(BrokerUnavailable):
        await releaser(database, Away()).work()
    assert await stock.statuses(held) == ["held"]
    assert await stock.deliveries(held) == []
    told = Told()
    await finish(database, told, stock, one)
    assert len(told.events) == len(await stock.deliveries(held)) == 3


async def test_one_tenants_fault_is_not_the_others(stock: Stock, database: Database) -> None:
    owners = [tenant(Destination(fresh())) for _ in range(3)]
    await stock.world.add(*owners)
    for one in owners:
        await stock.hold(one, 1)
        await stock.resume(one)

    class Fragile(Told):
        async def __call__(self, events: object) -> None:
            if events[0].tenant_id == owners[1].id:  # type: ignore[index]
                raise RuntimeError("nobody thought of this")
            await super().__call__(events)  # type: ignore[arg-type]

    told = Fragile()
    await releaser(database, told).work()
    assert {event.tenant_id for event in told.events} == {owners[0].id, owners[2].id}
    assert await stock.asked(owners[1]) == 1
    await finish(database, Told(), stock, *owners)


@pytest.mark.parametrize("moment", ["before_announcing", "before_commit", "after_commit"])
async def test_a_worker_killed_at_any_moment_loses_and_doubles_nothing(
    stock: Stock, database: Database, moment: Moment
) -> None:
    owners = [tenant(Destination(fresh()), Destination(fresh())) for _ in range(3)]
    await stock.world.add(*owners)
    held = [arrival for one in owners for arrival in await stock.hold(one, 10)]
    single = [arrival for one in owners for arrival in await stock.quarantine(one, 10)]
    for one in owners:
        await stock.resume(one)
    await stock.release(*single)
    every = [*held, *single]
    await kill(Doom(stock.world.settings, moment))
    released = await stock.world.count(
        "events",
        "id = ANY ($1) AND status IN ('accepted', 'released')",
        [one.event_id for one in every],
    )
    assert released == (7 if moment == "after_commit" else 0)
    assert len(await stock.deliveries(every)) == 2 * released
    told = Told()
    await finish(database, told, stock, *owners)
    assert (await stock.statuses(held), await stock.statuses(single)) == (
        ["accepted"],
        ["released"],
    )
    assert await stock.deliveries(every) == sorted(
        (arrival.event_id, destination.id)
        for arrival in every
        for one in owners
        if one.id == arrival.tenant_id
        for destination in one.destinations
    )
    assert len(told.events) == len(every) - released


async def test_a_message_that_comes_again_after_its_release_changes_nothing(
    stock: Stock, database: Database
) -> None:
    one = tenant(Destination(fresh()))
    await stock.world.add(one)
    held = await stock.hold(one, 2)
    await stock.resume(one)
    await finish(database, Told(), stock, one)
    await Persister(database, lease_s=60).persist(held)
    assert await stock.statuses(held) == ["accepted"]
    assert len(await stock.deliveries(held)) == 2
