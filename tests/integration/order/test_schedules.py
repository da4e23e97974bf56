"""Any schedule whatever: what arrives comes in order by key, and nothing is lost."""

import asyncio
import random

import pytest
from aiohttp import web

from crossdock.delivery.cancel.service import Cancelling
from crossdock.delivery.destinations.model import RetryPolicy
from tests.beds.delivery import Receiver
from tests.beds.ordering import Accepted, OrderBed, numbers, over, without_repeats

POLICY = RetryPolicy(delays_s=(0.02, 0.02, 0.02))


class Persisting:
    """Workers that persist what was accepted, batch by batch, each at its own pace."""

    def __init__(self, bed: OrderBed, chance: random.Random) -> None:
        self.bed = bed
        self.chance = chance

    async def run(self, batches: list[list[Accepted]]) -> None:
        """Have several batches under way; the later ones are often done first."""
        await asyncio.gather(*(self._work(batch) for batch in batches))

    async def _work(self, batch: list[Accepted]) -> None:
        await asyncio.sleep(self.chance.random() * 0.3)
        await self.bed.persist(batch)
        await asyncio.sleep(self.chance.random() * 0.2)
        await self.bed.ack(batch)


@pytest.mark.parametrize("seed", range(6))
async def test_any_schedule_keeps_order_by_key_and_loses_nothing(
    bed: OrderBed, receiver: Receiver, seed: int
) -> None:
    """Out-of-order batches, several workers, failures, dead heads and cancelling, all at once."""
    chance = random.Random(seed)  # noqa: S311 - a schedule to be repeated

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(chance.random() * 0.01)
        status = chance.choices([204, 500, 418], [0.85, 0.1, 0.05])[0]
        return web.Response(status=status)

    hold = chance.choice(["until_dead", "until_delivered"])
    lines = chance.randint(1, 8)
    await bed.open(receiver.url("/any", answer), hold=hold, breaker="off")  # type: ignore[arg-type]
    accepted = await bed.accept(chance.randrange(lines) for _ in range(120))
    batches = [accepted[at : at + 10] for at in range(0, 120, 10)]
    cancelling = Cancelling(bed.deliveries.databases)
    async with bed.working(3, policy=POLICY):
        persisting = asyncio.create_task(Persisting(bed, chance).run(batches))
        for _ in range(5):
            await asyncio.sleep(0.1)
            rows = await bed.rows("state = 'pending'")
            if rows:
                chosen = chance.sample(rows, min(2, len(rows)))
                await cancelling.cancel_some(bed.tenant, [row["id"] for row in chosen])
        await persisting
        while not await bed.is_over():
            dead = await bed.rows("state = 'dead'")
            if hold == "until_delivered" and dead:
                await cancelling.cancel_some(bed.tenant, [row["id"] for row in dead])
            await asyncio.sleep(0.05)
        await over(bed)
    for line, seen in numbers(receiver.calls).items():
        first_seen = without_repeats(seen)
        assert first_seen == sorted(first_seen), f"line {line} of seed {seed}"
        assert seen == sorted(seen), f"a retry after a later one, line {line} of seed {seed}"
    rows = await bed.rows()
    assert len(rows) == 120, "each accepted event has its delivery"
    assert {row["state"] for row in rows} <= {"delivered", "dead", "cancelled"}
    delivered = sum(row["state"] == "delivered" for row in rows)
    assert delivered > 60
