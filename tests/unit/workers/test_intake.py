"""Who is persisted with whom: nobody with little waits for another's heap."""

import asyncio
from itertools import count
from uuid import UUID

from crossdock.bus.consumer import Pulled
from crossdock.inbound.persist import Arrival, Poison
from proto.ingest import Ingested
from workers.intake import LIGHT, MOST_BYTES, Batch, Decoded, Intake, Lane

MINE, YOURS, THEIRS = (UUID(int=number) for number in (1, 2, 3))
HEAP = int(LIGHT) + 1
SEQUENCE = count(1)


def message(tenant: UUID, size: int = 0) -> Decoded:
    """Return what a tenant's webhook is here; its bytes are not looked at any more."""
    number = next(SEQUENCE)
    event_id = UUID(int=number << 80 | 0x7 << 76 | 0x8 << 60 | number)
    ingested = Ingested(
        event_id=event_id.bytes,
        tenant_id=tenant.bytes,
        source_id=tenant.bytes,
        event_type="order.paid",
        dedupe=None,
        provider_id=None,
        content_type="",
        headers=[],
        traceparent="",
        body=b"",
    )
    return Pulled(b"x" * size, number, 1, ""), Arrival.of(ingested, number)


def heap(tenant: UUID, messages: int = HEAP) -> list[Decoded]:
    return [message(tenant) for _ in range(messages)]


async def taken(intake: Intake, lane: Lane) -> Batch | None:
    """Return what a lane gets now; `None` where it has to wait."""
    try:
        async with asyncio.timeout(0.01):
            return await intake.take(lane)
    except TimeoutError:
        return None


def whose(batch: Batch | None) -> list[UUID]:
    assert batch is not None
    return [one.tenant_id for _, one in batch.messages if isinstance(one, Arrival)]


async def test_who_has_little_is_not_in_a_batch_with_a_heap() -> None:
    intake = Intake(500)
    intake.add([*heap(MINE), message(YOURS)])
    assert whose(await taken(intake, "light")) == [YOURS]
    assert whose(await taken(intake, "heavy")) == [MINE] * HEAP


async def test_the_lane_of_the_light_waits_rather_than_carry_a_heap() -> None:
    intake = Intake(500)
    intake.add(heap(MINE))
    assert await taken(intake, "light") is None
    assert whose(await taken(intake, "any")) == [MINE] * HEAP


async def test_the_lane_of_heaps_is_never_taken_by_the_light() -> None:
    intake = Intake(500)
    intake.add([message(YOURS)])
    assert await taken(intake, "heavy") is None
    assert whose(await taken(intake, "any")) == [YOURS]


async def test_the_heap_of_a_tenant_counts_while_it_is_under_way() -> None:
    intake = Intake(500)
    intake.add(heap(MINE))
    batch = await taken(intake, "heavy")
    intake.add([message(MINE)])
    assert await taken(intake, "light") is None
    assert batch is not None
    intake.done(batch)
    assert whose(await taken(intake, "light")) == [MINE]


async def test_heaps_share_a_batch_and_the_smaller_leaves_the_rest() -> None:
    intake = Intake(100)
    intake.add([*heap(MINE, 200), *heap(YOURS, 200), *heap(THEIRS, 40)])
    found = whose(await taken(intake, "heavy"))
    assert [found.count(one) for one in (MINE, YOURS, THEIRS)] == [33, 33, 34]
    intake = Intake(150)
    intake.add([*heap(MINE, 200), *heap(YOURS, 200), *heap(THEIRS, 40)])
    found = whose(await taken(intake, "heavy"))
    assert [found.count(one) for one in (MINE, YOURS, THEIRS)] == [55, 55, 40]


async def test_a_tenants_messages_stay_in_their_order() -> None:
    intake = Intake(50)
    sent = heap(MINE, 120)
    intake.add(sent)
    got: list[Decoded] = []
    for _ in range(3):
        batch = await taken(intake, "heavy")
        assert batch is not None
        got += batch.messages
    assert got == sent


async def test_large_bodies_weigh() -> None:
    intake = Intake(500)
    intake.add([message(MINE, 1024 * 1024), message(YOURS)])
    assert whose(await taken(intake, "light")) == [YOURS]
    assert whose(await taken(intake, "heavy")) == [MINE]


async def test_nobody_brings_more_bytes_than_a_batch_may_hold_but_for_one_message() -> None:
    intake = Intake(500)
    intake.add([message(MINE, MOST_BYTES // 2) for _ in range(3)])
    assert len(whose(await taken(intake, "heavy"))) == 1  # by what it weighs
    intake.add([message(YOURS, MOST_BYTES + 1)])
    assert sorted(whose(await taken(intake, "heavy"))) == [MINE, YOURS]


async def test_dear_filters_make_few_events_a_heap_from_the_second_time_on() -> None:
    intake = Intake(500)
    intake.add(heap(MINE, 2))
    first = await taken(intake, "light")
    assert first is not None
    intake.learn({MINE}, {MINE: 0.07})
    intake.done(first)
    intake.add([*heap(MINE, 3), message(YOURS)])
    assert whose(await taken(intake, "light")) == [YOURS]
    assert whose(await taken(intake, "heavy")) == [MINE]  # 70 ms, and not 210
    intake.learn({MINE}, {MINE: 0.000_01})
    intake.add([message(THEIRS)])
    assert whose(await taken(intake, "light")) == [THEIRS]


async def test_whose_events_are_dearest_has_one_of_them_in_each_batch() -> None:
    intake = Intake(500)
    intake.learn({MINE}, {MINE: 0.5})
    intake.add([*heap(MINE, 60), *heap(YOURS)])
    found = whose(await taken(intake, "heavy"))
    assert (found.count(MINE), found.count(YOURS)) == (1, HEAP)


async def test_what_nobody_can_read_holds_up_nobody() -> None:
    intake = Intake(500)
    pulled, _ = message(MINE)
    intake.add([(pulled, Poison("odd")), *heap(MINE)])
    batch = await taken(intake, "light")
    assert batch is not None
    assert [one for _, one in batch.messages] == [Poison("odd")]


async def test_no_more_is_fetched_than_there_is_room_for() -> None:
    intake = Intake(40)
    intake.add(heap(MINE, 40))
    waiting = asyncio.create_task(intake.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert await taken(intake, "heavy") is not None
    await waiting


async def test_the_end_hands_out_nothing_and_tells_what_is_left() -> None:
    intake = Intake(500)
    sent = heap(MINE, 3)
    waiting = asyncio.create_task(intake.take("light"))
    await asyncio.sleep(0)
    intake.close()
    assert await waiting is None
    intake.add(sent)
    assert await intake.take("any") is None
    assert intake.left() == [pulled for pulled, _ in sent]
