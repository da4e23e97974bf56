"""What was left standing still moves again."""

from crossdock.delivery.destinations.model import RetryPolicy
from tests.beds.delivery import Receiver, until
from tests.beds.ordering import OrderBed, numbers, over


async def settle_without_promoting(bed: OrderBed, state: str = "delivered") -> None:
    """End what is under way as a worker of an earlier release does."""
    async with bed.database.queue() as conn:
        await conn.execute(
            "UPDATE crossdock.deliveries SET state = $3, lease = NULL, finished_at = now()"
            " WHERE tenant_id = $1 AND destination_id = $2 AND state = 'pending'"
            " AND due_at < 'infinity'",
            bed.tenant,
            bed.destination,
            state,
        )


async def test_a_sweep_moves_lines_that_stand_still_and_no_others(
    bed: OrderBed, receiver: Receiver
) -> None:
    await bed.open(receiver.url("/ok"))
    made = await bed.arrive([at % 600 for at in range(1300)])
    await bed.join()
    joiner = bed.joiner()
    assert await joiner.sweep(bed.tenant) == 0
    await settle_without_promoting(bed)
    assert await bed.active() == []
    assert await joiner.sweep(bed.tenant) == 600, "more than one page of them"
    assert set(await bed.active()) == set(made[600:1200])


async def test_a_sweep_lets_nothing_in_before_its_time(bed: OrderBed, receiver: Receiver) -> None:
    await bed.open(receiver.url("/ok"))
    accepted = await bed.accept([1, 1])
    await bed.persist(accepted)
    assert await bed.joiner().sweep(bed.tenant) == 0
    assert await bed.active() == []
    await bed.ack(accepted)


async def test_a_line_held_by_a_dead_letter_goes_on_when_its_owner_changes_the_rule(
    bed: OrderBed, receiver: Receiver
) -> None:
    await bed.open(receiver.url("/no", 503), hold="until_delivered")
    await bed.arrive([1, 1])

    async def is_dead() -> bool:
        return bool(await bed.rows("state = 'dead'"))

    async with bed.working(policy=RetryPolicy(delays_s=())):
        await until(is_dead)
        assert await bed.active() == []
        await bed.hold_until("until_dead")
        await over(bed)
    assert numbers(receiver.calls)[1] == [0, 1]


async def test_a_line_goes_on_when_retention_has_taken_its_dead_letter(
    bed: OrderBed, receiver: Receiver
) -> None:
    await bed.open(receiver.url("/ok"), hold="until_delivered")
    dead, _ = await bed.arrive([1, 1])
    await bed.join()
    await settle_without_promoting(bed, "dead")
    joiner = bed.joiner()
    await joiner.sweep(bed.tenant)
    assert await bed.active() == [], "it is held"
    async with bed.database.maintenance() as conn:
        await conn.execute("DELETE FROM crossdock.deliveries WHERE id = $1", dead)
    async with bed.working():
        await joiner.sweep(bed.tenant)
        await over(bed)
    assert numbers(receiver.calls)[1] == [1]
