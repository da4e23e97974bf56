"""An event joins its line when nothing that came in before it can come after."""

import pytest

from crossdock.bus import connect
from crossdock.delivery.order import store
from crossdock.delivery.order.model import Waiting
from crossdock.errors import BrokerUnavailable
from tests.beds.delivery import Receiver
from tests.beds.ordering import OrderBed


async def test_one_persisted_early_does_not_overtake(bed: OrderBed, receiver: Receiver) -> None:
    await bed.open(receiver.url("/ok"))
    first, second, third = await bed.accept([1, 1, 1])
    await bed.persist([second, third])
    await bed.ack([second, third])
    await bed.join()
    assert await bed.active() == [], "the first may yet be persisted"
    (made,) = await bed.persist([first])
    await bed.join()
    assert await bed.active() == [], "it is not acknowledged"
    await bed.ack([first])
    await bed.join()
    assert await bed.active() == [made]


async def test_only_the_head_of_each_line_is_due(bed: OrderBed, receiver: Receiver) -> None:
    await bed.open(receiver.url("/ok"))
    made = await bed.arrive([1, 2, 1, 2, 3, 1])
    await bed.join()
    assert set(await bed.active()) == {made[0], made[1], made[4]}
    assert set(bed.due) == {(bed.tenant, bed.destination)}


async def test_what_has_no_key_has_no_line(bed: OrderBed, receiver: Receiver) -> None:
    await bed.open(receiver.url("/ok"))
    made = await bed.arrive([None, None, 1])
    assert set(await bed.active()) == set(made[:2])


async def test_the_floor_rises_and_never_falls(bed: OrderBed, receiver: Receiver) -> None:
    await bed.open(receiver.url("/ok"))
    await bed.arrive([1])
    await bed.join()
    async with bed.database.queue() as conn:
        before = (await store.waiting(conn)).floor
        await store.raise_floor(conn, before - 1)
        assert await store.waiting(conn) == Waiting(before, None)


async def test_many_that_join_at_once_join_in_parts(bed: OrderBed, receiver: Receiver) -> None:
    """A part ends between two events, never among the deliveries of one."""
    await bed.open(receiver.url("/ok"))
    await bed.arrive(range(1200))
    joiner = bed.joiner()
    assert await joiner.join() == 0, "there is more"
    assert 500 <= len(await bed.active()) < 1200
    await bed.join()
    assert len(await bed.active()) == 1200


async def test_the_broker_is_not_asked_when_nothing_waits(
    bed: OrderBed, receiver: Receiver
) -> None:
    await bed.open(receiver.url("/ok"))
    await bed.arrive([1])
    await bed.join()
    bus = await connect(bed.ingest.bus.settings)
    joiner = bed.joiner(bus=bus)
    await bus.close()
    assert await joiner.join() > 0
    await bed.persist(await bed.accept([1]))
    with pytest.raises(BrokerUnavailable):
        await joiner.join()
