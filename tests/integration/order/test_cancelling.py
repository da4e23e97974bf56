"""What its owner calls off: waiting, dead, or on its way."""

import asyncio

import pytest
from aiohttp import web

from crossdock import ids
from crossdock.delivery.cancel.service import CancelledPending, Cancelling
from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.model import Delivery
from crossdock.errors import Conflict, NotFound
from tests.beds.delivery import Receiver, until
from tests.beds.ordering import OrderBed, numbers, over

ONCE = RetryPolicy(delays_s=())


@pytest.fixture
def cancelling(bed: OrderBed) -> Cancelling:
    """The use cases, a few at a time."""
    return Cancelling(bed.deliveries.databases, chunk=10)


async def test_a_waiting_one_is_cancelled_and_its_line_goes_on(
    bed: OrderBed, receiver: Receiver, cancelling: Cancelling
) -> None:
    await bed.open(receiver.url("/ok"))
    first, second, third = await bed.arrive([1, 1, 1])
    await bed.join()
    done = await cancelling.cancel(bed.tenant, second)
    assert (done.state, done.reason) == ("cancelled", "cancelled_by_owner")
    assert await bed.active() == [first]
    await cancelling.cancel(bed.tenant, first)
    assert await bed.active() == [third], "the next of the line is due in the same transaction"
    assert await cancelling.cancel(bed.tenant, first) == await bed.shown(first), "idempotent"
    async with bed.working():
        await over(bed)
    assert numbers(receiver.calls)[1] == [2]


async def test_the_result_of_one_under_way_is_dropped(
    bed: OrderBed, receiver: Receiver, cancelling: Cancelling
) -> None:
    go = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await go.wait()
        return web.Response(status=204)

    await bed.open(receiver.url("/wait", answer))
    first, second = await bed.arrive([1, 1])
    async with bed.working() as ((dispatcher, _),):
        await until(lambda: receiver.calls)
        await cancelling.cancel(bed.tenant, first)
        go.set()
        await over(bed)
        await until(lambda: dispatcher.recorder.fenced == 1)
    states = {row["id"]: row["state"] for row in await bed.rows()}
    assert states == {first: "cancelled", second: "delivered"}


async def test_a_dead_head_that_is_discarded_lets_its_line_go_on(
    bed: OrderBed, receiver: Receiver, cancelling: Cancelling
) -> None:
    async def refuse_the_first(request: web.Request) -> web.Response:
        number = int((await request.read()).split()[1])
        return web.Response(status=503 if number == 0 else 204)

    await bed.open(receiver.url("/held", refuse_the_first), hold="until_delivered")
    first, _ = await bed.arrive([1, 1])

    async def is_dead() -> bool:
        return bool(await bed.rows("state = 'dead'"))

    async with bed.working(policy=ONCE):
        await until(is_dead)
        assert numbers(receiver.calls)[1] == [0]
        done = await cancelling.cancel(bed.tenant, first)
        await over(bed)
    assert (done.state, done.reason) == ("cancelled", "discarded_by_owner")
    assert numbers(receiver.calls)[1] == [0, 1]


async def test_what_arrived_or_is_not_there_is_refused_one_by_one(
    bed: OrderBed, receiver: Receiver, cancelling: Cancelling
) -> None:
    await bed.open(receiver.url("/ok"))
    (arrived,) = await bed.arrive([1])
    async with bed.working():
        await over(bed)
    (waiting,) = await bed.arrive([1])
    outcomes = await cancelling.cancel_some(bed.tenant, [arrived, ids.new(), waiting])
    assert [type(one) for one in outcomes] == [Conflict, NotFound, Delivery]
    other = await bed.deliveries.tenant()
    with pytest.raises(NotFound):
        await cancelling.cancel(other, waiting)
    with pytest.raises(NotFound):
        await cancelling.cancel_pending(other, bed.destination)


async def test_all_that_waits_goes_by_chunks_and_nothing_starts_meanwhile(
    bed: OrderBed, receiver: Receiver, cancelling: Cancelling
) -> None:
    await bed.open(receiver.url("/ok"))
    made = await bed.arrive([at % 3 for at in range(20)] + [None] * 5)
    await bed.join()
    before = set(await bed.active())
    answers: list[CancelledPending] = []
    while not answers or answers[-1].has_more:
        answers.append(await cancelling.cancel_pending(bed.tenant, bed.destination))
        assert set(await bed.active()) <= before, "a head is the last of its line to go"
    assert [one.cancelled for one in answers] == [10, 10, 5]
    assert {row["state"] for row in await bed.rows()} == {"cancelled"}
    assert len(made) == 25
    assert receiver.calls == []


async def test_cancelling_races_with_delivering_and_no_line_is_left_standing(
    bed: OrderBed, receiver: Receiver, cancelling: Cancelling
) -> None:
    """Each is delivered or cancelled; whatever was delivered came in order."""
    await bed.open(receiver.url("/ok"))
    made = await bed.arrive([at % 4 for at in range(200)])
    async with bed.working(2):
        for start in range(0, 200, 20):
            await asyncio.gather(
                *(cancelling.cancel_some(bed.tenant, [one]) for one in made[start : start + 20 : 3])
            )
        await over(bed)
    for line, seen in numbers(receiver.calls).items():
        assert seen == sorted(set(seen)), line
    states = {row["state"] for row in await bed.rows()}
    assert states == {"delivered", "cancelled"}
