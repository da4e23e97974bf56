"""Replay: of one delivery, of one event, and in bulk by a job that survives its worker."""

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.config import DatabaseSettings
from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.model import ReplayFilter
from crossdock.delivery.replays.runner import ReplayRunner
from crossdock.delivery.replays.service import Replays
from crossdock.errors import Conflict, Invalid, NotFound
from crossdock.paging import Window
from tests.beds.delivery import DeliveryBed, Receiver, until

ONCE = RetryPolicy(delays_s=())


async def bury(bed: DeliveryBed, tenant: UUID, *arrivals: Any) -> None:
    """Persist webhooks and let the dispatcher fail once with each.

    Many of them fail by a 4xx: 5xx would open the breaker, and the rest wait.
    """
    async with bed.dispatching(policy=ONCE) as dispatcher:
        await dispatcher.offer(await bed.persist(*arrivals))

        async def is_over() -> bool:
            return "pending" not in await bed.states(tenant)

        await until(is_over)


async def finish(bed: DeliveryBed, replay_id: UUID, tenant: UUID, chunk: int = 500) -> int:
    """Run replays until one is done; return how many deliveries it made."""
    runner = ReplayRunner(bed.database, chunk=chunk)
    while await runner.work():
        pass
    found = await Replays(bed.databases).get(tenant, replay_id)
    assert found.state == "done"
    assert found.finished_at is not None
    return found.matched


async def test_a_dead_letter_is_replayed_as_a_new_delivery_of_the_same_event(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/x", 500), breaker="off")
    await bury(bed, tenant, bed.arrival(tenant))
    receiver.url("/x", 204)
    (dead,) = await bed.all_of(tenant)
    again = await bed.deliveries.replay(tenant, dead.delivery.id)
    assert again.id != dead.delivery.id
    async with bed.dispatching():

        async def is_over() -> bool:
            return await bed.states(tenant) == ["replayed", "delivered"]

        await until(is_over)
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
    with pytest.raises(Conflict, match="replayed before"):
        await bed.deliveries.replay(tenant, dead.delivery.id)
    thrice = await bed.deliveries.replay(tenant, again.id)
    assert thrice.event_id == dead.delivery.event_id
    states = {one.delivery.id: one.delivery.state for one in await bed.all_of(tenant)}
    assert states[again.id] == "delivered", "a success that is repeated stays one"


async def test_what_can_not_be_replayed_says_why(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant, stranger = await bed.tenant(), await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/x", 500), breaker="off")
    jobs = await bed.persist(bed.arrival(tenant))
    with pytest.raises(Conflict, match="under way"):
        await bed.deliveries.replay(tenant, jobs[0].leased.id)
    with pytest.raises(NotFound):
        await bed.deliveries.replay(stranger, jobs[0].leased.id)
    with pytest.raises(NotFound):
        await bed.deliveries.replay(tenant, ids.new())
    await bed.make_due(jobs)
    await bury(bed, tenant)
    await bed.destinations.delete(tenant, made.destination.id, None)
    with pytest.raises(Conflict, match="destination was deleted"):
        await bed.deliveries.replay(tenant, jobs[0].leased.id)


async def test_an_event_is_replayed_to_all_who_want_it_now(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/a"))
    await bury(bed, tenant, bed.arrival(tenant, event_type="order.paid"))
    await bed.destination(tenant, receiver.url("/b"), event_types=("order.*",))
    await bed.destination(tenant, receiver.url("/c"), event_types=("user.*",))
    (first,) = await bed.all_of(tenant)
    made = await bed.deliveries.replay_event(tenant, first.delivery.event_id)
    assert len(made) == 2
    async with bed.dispatching():
        await until(lambda: receiver.seen("/b") and len(receiver.seen("/a")) == 2)
    assert not receiver.seen("/c")
    with pytest.raises(NotFound):
        await bed.deliveries.replay_event(tenant, ids.new())


async def test_a_bulk_replay_takes_what_matches_and_nothing_else(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant, other = await bed.tenant(), await bed.tenant()
    for one in (tenant, other):
        await bed.destination(one, receiver.url("/x", 500), breaker="off")
    paid = [bed.arrival(tenant, event_type="order.paid") for _ in range(7)]
    made = [bed.arrival(tenant, event_type="user.made") for _ in range(5)]
    await bury(bed, tenant, *paid, *made)
    await bury(bed, other, bed.arrival(other))
    replays = Replays(bed.databases)
    started = await replays.create(tenant, ReplayFilter(event_types=("order.*",)))
    assert await finish(bed, started.id, tenant, chunk=3) == 7
    states = [one.delivery.state for one in await bed.all_of(tenant)]
    assert (states.count("replayed"), states.count("dead"), states.count("pending")) == (7, 5, 7)
    assert await bed.states(other) == ["dead"]
    again = await replays.create(tenant, ReplayFilter(event_types=("order.*",)))
    assert await finish(bed, again.id, tenant) == 0, "they were replayed before"
    made_again = [one for one in await bed.all_of(tenant) if one.delivery.replay_id == started.id]
    assert len(made_again) == 7


async def test_each_filter_narrows(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    first = await bed.destination(tenant, receiver.url("/a", 500), breaker="off")
    await bed.destination(tenant, receiver.url("/b", 404), breaker="off")
    await bed.destination(tenant, receiver.url("/c", 204))
    await bury(bed, tenant, bed.arrival(tenant))
    replays = Replays(bed.databases)

    async def count(**wanted: Any) -> int:
        """Return how many a filter takes, without changing what is there."""
        replay = await replays.create(tenant, ReplayFilter(**wanted))
        made = await finish(bed, replay.id, tenant)
        async with bed.database.queue() as conn:
            await conn.execute(
                "UPDATE crossdock.deliveries SET state = 'cancelled'"
                " WHERE state = 'pending' AND tenant_id = $1",
                tenant,
            )
            await conn.execute(
                "UPDATE crossdock.deliveries SET state = 'dead'"
                " WHERE state = 'replayed' AND tenant_id = $1",
                tenant,
            )
        return made

    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    assert await count() == 2
    assert await count(destination_id=first.destination.id) == 1
    assert await count(last_status=404) == 1
    assert await count(reason="attempts_exhausted") == 2
    assert await count(reason="gone") == 0
    assert await count(source_id=UUID(int=7)) == 2
    assert await count(source_id=UUID(int=8)) == 0
    assert await count(created_after=now - hour, created_before=now + hour) == 2
    assert await count(created_before=now - hour) == 0
    assert await count(created_after=now + hour) == 0
    assert await count(state="delivered") == 1
    assert await count(event_types=("nothing",)) == 0
    with pytest.raises(Invalid):
        await replays.create(tenant, ReplayFilter(created_after=now, created_before=now))


async def test_a_replay_can_be_cancelled_and_its_progress_read(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/x", 404), breaker="off")
    await bury(bed, tenant, *(bed.arrival(tenant) for _ in range(10)))
    replays = Replays(bed.databases)
    started = await replays.create(tenant, ReplayFilter())
    await ReplayRunner(bed.database, chunk=4).work()
    found = await replays.get(tenant, started.id)
    assert (found.state, found.matched) == ("running", 4)
    assert (await replays.cancel(tenant, started.id)).state == "cancelled"
    await ReplayRunner(bed.database, chunk=4).work()
    found = await replays.cancel(tenant, started.id)
    assert (found.state, found.matched) == ("cancelled", 4)
    page = await replays.page(tenant, Window(limit=1))
    assert [one.id for one in page.items] == [started.id]
    rest = await replays.create(tenant, ReplayFilter())
    assert await finish(bed, rest.id, tenant) == 6
    with pytest.raises(Conflict):
        await replays.cancel(tenant, rest.id)
    with pytest.raises(NotFound):
        await replays.get(await bed.tenant(), rest.id)


async def test_runners_at_the_same_time_make_each_delivery_once(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/x", 404), breaker="off")
    await bury(bed, tenant, *(bed.arrival(tenant) for _ in range(60)))
    replays = Replays(bed.databases)
    started = [await replays.create(tenant, ReplayFilter()) for _ in range(3)]
    runners = [ReplayRunner(bed.database, chunk=7) for _ in range(3)]

    async def run(runner: ReplayRunner) -> None:
        while await runner.work():
            pass

    await asyncio.gather(*map(run, runners))
    matched = [(await replays.get(tenant, one.id)).matched for one in started]
    assert sum(matched) == 60
    states = await bed.states(tenant)
    assert (states.count("replayed"), states.count("pending")) == (60, 60)


async def test_a_replay_whose_worker_is_killed_goes_on_where_it_was(
    bed: DeliveryBed, receiver: Receiver, fresh_database: DatabaseSettings
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/x", 404), breaker="off")
    await bury(bed, tenant, *(bed.arrival(tenant) for _ in range(100)))
    replays = Replays(bed.databases)
    started = await replays.create(tenant, ReplayFilter())
    kills = 0
    while (found := await replays.get(tenant, started.id)).state == "running":
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.beds.replayer",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(msgspec.json.encode(fresh_database) + b"\n")
        await worker.stdin.drain()
        for _ in range(2 + kills):
            await worker.stdout.readline()
        if worker.returncode is None:
            worker.send_signal(signal.SIGKILL)
        await worker.wait()
        kills += 1
        assert kills < 20
    assert found.matched == 100
    assert kills >= 3
    states = [one.delivery.state for one in await bed.all_of(tenant)]
    assert (states.count("replayed"), states.count("pending")) == (100, 100)
    events = {one.delivery.event_id for one in await bed.all_of(tenant, state="pending")}
    assert len(events) == 100


async def test_a_missing_tenant_stops_no_runner(bed: DeliveryBed) -> None:
    """A replay of a tenant that moved to another shard is left alone."""
    tenant = await bed.tenant()
    replays = Replays(bed.databases)
    started = await replays.create(tenant, ReplayFilter())
    async with bed.database.session("maintenance") as conn:
        await conn.execute("UPDATE crossdock.tenants SET shard = 9 WHERE id = $1", tenant)
    assert not await ReplayRunner(bed.database).work()
    async with bed.database.session("maintenance") as conn:
        await conn.execute("UPDATE crossdock.tenants SET shard = 0 WHERE id = $1", tenant)
    assert await finish(bed, started.id, tenant) == 0
