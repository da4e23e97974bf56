"""Replays as jobs: paused, resumed, killed, fair, and never a flood."""

import asyncio
import signal
import sys
from uuid import UUID

import msgspec
import pytest

from crossdock.config import DatabaseSettings
from crossdock.delivery.model import ReplayFilter
from crossdock.delivery.replays.rules import progress
from crossdock.delivery.replays.runner import ReplayRunner
from crossdock.delivery.replays.service import Replays
from crossdock.errors import Conflict, NotFound
from tests.beds.delivery import DeliveryBed, Receiver, until


async def missing(bed: DeliveryBed, receiver: Receiver, count: int) -> tuple[UUID, UUID]:
    """Return a tenant, and a destination of its that missed so many events."""
    tenant = await bed.tenant()
    key = (await bed.destination(tenant, receiver.url("/x"))).destination.id
    await bed.destinations.switch(tenant, key, "disabled")
    await bed.persist(*(bed.arrival(tenant) for _ in range(count)))
    await bed.destinations.switch(tenant, key, "enabled")
    return tenant, key


async def test_a_replay_is_paused_and_goes_on_where_it_was(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant, key = await missing(bed, receiver, 20)
    replays, runner = Replays(bed.databases), ReplayRunner(bed.database, chunk=6)
    started = await replays.create(tenant, ReplayFilter(state="missed", destination_id=key))
    assert progress(started) == 0
    assert await until(runner.work)
    paused = await replays.pause(tenant, started.id)
    assert (paused.state, paused.seen, paused.matched) == ("paused", 6, 6)
    assert 0 < progress(paused) < 1
    assert (await replays.pause(tenant, started.id)).state == "paused"
    assert not await runner.work(), "nobody works on it"
    resumed = await replays.resume(tenant, started.id)
    assert (resumed.state, resumed.matched) == ("running", 6)
    assert (await replays.resume(tenant, started.id)).state == "running"
    while await runner.work():
        pass
    done = await replays.get(tenant, started.id)
    assert (done.state, done.seen, done.matched, progress(done)) == ("done", 20, 20, 1.0)
    assert done.finished_at is not None
    for change in (replays.pause, replays.resume, replays.cancel):
        with pytest.raises(Conflict):
            await change(tenant, started.id)
        with pytest.raises(NotFound):
            await change(await bed.tenant(), started.id)


async def test_a_paused_replay_can_be_cancelled(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant, key = await missing(bed, receiver, 4)
    replays = Replays(bed.databases)
    started = await replays.create(tenant, ReplayFilter(state="missed", destination_id=key))
    await replays.pause(tenant, started.id)
    cancelled = await replays.cancel(tenant, started.id)
    assert cancelled.state == "cancelled"
    assert cancelled.finished_at is not None
    with pytest.raises(Conflict):
        await replays.resume(tenant, started.id)


async def test_it_makes_no_more_than_its_destination_takes(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant, key = await missing(bed, receiver, 50)
    replays = Replays(bed.databases)
    runner = ReplayRunner(bed.database, chunk=5, most_waiting=12)
    started = await replays.create(tenant, ReplayFilter(state="missed", destination_id=key))
    await until(runner.work)
    while await runner.work():
        pass
    held = await replays.get(tenant, started.id)
    assert (held.state, held.matched, held.waits_for) == ("running", 15, key)
    async with bed.dispatching():

        async def is_over() -> bool:
            await runner.work()
            waiting = (await bed.states(tenant)).count("pending")
            assert waiting <= 12 + 5
            return (await replays.get(tenant, started.id)).state == "done"

        await until(is_over)
        await until(lambda: len(receiver.seen("/x")) == 50)
    assert (await replays.get(tenant, started.id)).waits_for is None


async def test_tenants_take_turns(bed: DeliveryBed, receiver: Receiver) -> None:
    """A tenant with many jobs does not keep one with a single job waiting."""
    replays = Replays(bed.databases)
    greedy, _ = await missing(bed, receiver, 30)
    modest, _ = await missing(bed, receiver, 10)
    jobs = [await replays.create(greedy, ReplayFilter(state="all")) for _ in range(3)]
    single = await replays.create(modest, ReplayFilter(state="all"))
    runner = ReplayRunner(bed.database, chunk=2)
    for _ in range(3):
        await runner.work()
    assert [(await replays.get(greedy, one.id)).seen for one in jobs] == [2, 2, 2]
    assert (await replays.get(modest, single.id)).seen == 6
    while await runner.work():
        pass


async def test_events_are_replayed_once_each_though_workers_are_killed(
    bed: DeliveryBed, receiver: Receiver, fresh_database: DatabaseSettings
) -> None:
    """Killed at any moment, in the middle of a chunk too."""
    tenant, key = await missing(bed, receiver, 80)
    replays = Replays(bed.databases)
    started = await replays.create(tenant, ReplayFilter(state="missed", destination_id=key))
    kills = 0
    while (found := await replays.get(tenant, started.id)).state == "running":
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.beds.replayer"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(msgspec.json.encode(fresh_database) + b"\n")
        await worker.stdin.drain()
        for _ in range(3 + kills):
            await worker.stdout.readline()
        if worker.returncode is None:
            worker.send_signal(signal.SIGKILL)
        await worker.wait()
        kills += 1
        assert kills < 20
    assert (found.matched, found.seen) == (80, 80)
    assert kills >= 3
    events = [one.delivery.event_id for one in await bed.all_of(tenant)]
    assert len(events) == len(set(events)) == 80
