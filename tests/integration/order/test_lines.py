"""A line has one delivery under way; the next begins when its end is written."""

import asyncio
from uuid import UUID

from aiohttp import web

from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.dispatch.lines import Caps
from tests.beds.delivery import Receiver, failing_first, until
from tests.beds.ordering import OrderBed, numbers, over, without_repeats

SHORT = RetryPolicy(delays_s=(0.05,))


async def test_each_line_arrives_in_order_under_several_workers(
    bed: OrderBed, receiver: Receiver
) -> None:
    await bed.open(receiver.url("/ok"))
    await bed.arrive([at % 7 for at in range(140)])
    async with bed.working(3):
        await over(bed)
    seen = numbers(receiver.calls)
    assert seen == {line: list(range(line, 140, 7)) for line in range(7)}


async def test_lines_go_side_by_side_and_none_has_two_under_way(
    bed: OrderBed, receiver: Receiver
) -> None:
    flying: dict[bytes, int] = {}
    most = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal most
        line = (await request.read()).split()[0]
        flying[line] = flying.get(line, 0) + 1
        assert flying[line] == 1
        most = max(most, sum(flying.values()))
        await asyncio.sleep(0.02)
        flying[line] -= 1
        return web.Response(status=204)

    await bed.open(receiver.url("/slow", answer))
    await bed.arrive([at % 5 for at in range(50)])
    async with bed.working(2):
        await over(bed)
    assert most == 5
    rows = await bed.rows("state = 'delivered'")
    assert len(rows) == 50


async def test_a_head_that_fails_holds_its_line_and_no_other(
    bed: OrderBed, receiver: Receiver
) -> None:
    await bed.open(receiver.url("/moody", failing_first(2)))
    await bed.arrive([1, 1, 2, 1])
    async with bed.working():
        await over(bed)
    seen = numbers(receiver.calls)
    assert seen[1] == [0, 0, 0, 1, 1, 1, 3, 3, 3]
    assert seen[2] == [2, 2, 2]


async def refuse_the_first(request: web.Request) -> web.Response:
    number = int((await request.read()).split()[1])
    return web.Response(status=503 if number == 0 else 204)


async def test_a_dead_head_lets_its_line_go_on(bed: OrderBed, receiver: Receiver) -> None:
    await bed.open(receiver.url("/first", refuse_the_first))
    await bed.arrive([1, 1, 1])
    async with bed.working(policy=SHORT):
        await over(bed)
    assert without_repeats(numbers(receiver.calls)[1]) == [0, 1, 2]
    assert [row["state"] for row in await bed.rows()] == ["dead", "delivered", "delivered"]


async def test_until_delivered_a_dead_head_holds_its_line(
    bed: OrderBed, receiver: Receiver
) -> None:
    await bed.open(receiver.url("/held", refuse_the_first), hold="until_delivered")
    await bed.arrive([1, 1, 2, 1])

    async def is_held() -> bool:
        return [row["state"] for row in await bed.rows()] == [
            *("dead", "pending", "pending"),
            "delivered",
        ]

    async with bed.working(policy=SHORT):
        await until(is_held)
    assert without_repeats(numbers(receiver.calls)[1]) == [0]
    assert await bed.active() == []
    assert await bed.promote(1) == set(), "nothing but an end of the dead letter moves it"


async def test_one_line_is_as_fast_as_its_receiver(bed: OrderBed, receiver: Receiver) -> None:
    """No poll lies between two deliveries of a line: they would take a minute by polls."""
    await bed.open(receiver.url("/quick"))
    await bed.arrive([1] * 300)
    async with bed.working(caps=Caps(total=8, tenant=8, destination=8, waiting=8)):
        await over(bed, within_s=20)
    assert numbers(receiver.calls)[1] == list(range(300))


async def test_a_deleted_destination_empties_its_lines(bed: OrderBed, receiver: Receiver) -> None:
    await bed.open(receiver.url("/gone"))
    await bed.arrive([1] * 40 + [2] * 40)
    await bed.deliveries.destinations.delete(bed.tenant, bed.destination, None)
    async with bed.working() as ((dispatcher, _),):
        await over(bed)
        assert dispatcher.recorder.written == 2, "one finds out, and the rest of its line goes too"
    assert receiver.calls == []
    rows = await bed.rows("state = 'cancelled' AND reason = 'destination_deleted'")
    assert len(rows) == 80


async def test_lines_drain_after_order_was_switched_off(bed: OrderBed, receiver: Receiver) -> None:
    await bed.open(receiver.url("/off"))
    await bed.arrive([1, 1, 1, 2])
    async with bed.database.tenant(bed.tenant) as conn:
        await conn.exec_driver_sql(
            "UPDATE crossdock.destinations SET order_by = NULL WHERE id = $1", (bed.destination,)
        )
    await bed.arrive([None, None])
    async with bed.working():
        await over(bed)
    assert without_repeats(numbers(receiver.calls)[1]) == [0, 1, 2]
    assert len(receiver.calls) == 6


async def test_a_line_waits_for_a_disabled_destination(bed: OrderBed, receiver: Receiver) -> None:
    await bed.open(receiver.url("/closed"))
    await bed.arrive([1, 1])
    await bed.deliveries.destinations.switch(bed.tenant, bed.destination, "disabled")
    async with bed.working():
        joined: list[UUID] = await until(bed.active)
        assert receiver.calls == []
        await bed.deliveries.destinations.switch(bed.tenant, bed.destination, "enabled")
        await over(bed)
    assert len(joined) == 1
    assert numbers(receiver.calls)[1] == [0, 1]
