"""A stream that is lost, or another one than before: order goes on."""

from crossdock.bus.standing import standing
from crossdock.bus.streams import declared, ensure_shard, ensure_streams
from crossdock.delivery.order import rules, store
from crossdock.delivery.order.service import Joiner
from proto import subjects
from tests.beds.delivery import Receiver
from tests.beds.ordering import OrderBed, numbers, over


async def make_anew(bed: OrderBed, *, by_hand: bool) -> None:
    """Lose INGEST with all that is in it; have it made as we do, or by hand."""
    jetstream = bed.ingest.jetstream
    await jetstream.delete_stream(subjects.INGEST_STREAM)
    if by_hand:
        stream = next(
            one for one in declared(bed.ingest.bus.settings) if one.name == subjects.INGEST_STREAM
        )
        await jetstream.add_stream(stream)
    await ensure_streams(bed.ingest.bus)
    await ensure_shard(bed.ingest.bus, 0)


async def test_sequences_of_a_stream_made_anew_go_on_from_the_old_ones(
    bed: OrderBed, receiver: Receiver
) -> None:
    await bed.open(receiver.url("/ok"))
    await bed.arrive([1, 1])
    before = await standing(bed.ingest.bus, 0)
    await make_anew(bed, by_hand=False)
    after = await standing(bed.ingest.bus, 0)
    assert after.last >= before.last
    assert after.acked == after.last, "an empty stream has nothing to wait for"
    await bed.arrive([1, 1])
    async with bed.working():
        await over(bed)
    assert numbers(receiver.calls)[1] == [0, 1, 0, 1], "the old ones first, then the new"


async def test_one_that_was_restored_is_noticed_and_loses_no_line(
    bed: OrderBed, receiver: Receiver
) -> None:
    await bed.open(receiver.url("/ok"))
    await bed.arrive([1, 1])
    await bed.join()
    await bed.persist(lost := await bed.accept([1]))
    await make_anew(bed, by_hand=True)
    now = 0.0
    joiner = Joiner(bed.database, bed.ingest.bus, monotonic=lambda: now)
    new = await bed.accept([1, 1])
    made = await bed.persist(new)
    assert await joiner.join() > 0, "a server that was cut off may say so for a while"
    async with bed.database.queue() as conn:
        assert (await store.waiting(conn)).floor > new[-1].pulled.stream_seq
    now = rules.ANEW_AFTER_S
    assert await joiner.join() == 0
    async with bed.database.queue() as conn:
        assert (await store.waiting(conn)).floor < new[0].pulled.stream_seq
    rows = await bed.rows("state = 'pending'")
    assert [row["id"] for row in rows][-2:] == made, "what waited goes before the new"
    await bed.ack(new)
    async with bed.working():
        await over(bed)
    assert numbers(receiver.calls)[1] == [0, 1, 0, 0, 1]
    assert lost
    await make_anew(bed, by_hand=False)
    async with bed.database.queue() as conn:
        await conn.execute("UPDATE crossdock.order_floor SET seq = 0")
