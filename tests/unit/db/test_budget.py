"""Tenants share a pool: bounded each, in turn, and nothing is lost when somebody gives up."""

import asyncio
import random
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossdock.db.budget import MAX_WAITING, Budget
from crossdock.errors import PoolExhausted


def tenant(number: int) -> UUID:
    return UUID(int=number)


def budget(total: int = 8, each: int = 4, timeout_s: float = 30.0) -> Budget:
    return Budget("test", total=total, each=each, timeout_s=timeout_s)


async def settle() -> None:
    """Let every task run as far as it can without any more news."""
    for _ in range(20):
        await asyncio.sleep(0)


class Holder:
    """A task that holds a slot until it is told to let go."""

    def __init__(self, of: Budget, number: int, order: list[int] | None = None) -> None:
        self._go = asyncio.Event()
        self.number = number
        self.holds = False
        self.task = asyncio.create_task(self._run(of, order))

    async def _run(self, of: Budget, order: list[int] | None) -> None:
        async with of.slot(tenant(self.number)):
            self.holds = True
            if order is not None:
                order.append(self.number)
            await self._go.wait()
        self.holds = False

    def let_go(self) -> None:
        self._go.set()


async def end(holders: list[Holder]) -> None:
    for one in holders:
        one.task.cancel()
    await asyncio.gather(*(one.task for one in holders), return_exceptions=True)


async def test_a_tenant_holds_no_more_than_its_share_while_others_pass() -> None:
    shared = budget(total=8, each=4)
    greedy = [Holder(shared, 1) for _ in range(50)]
    await settle()
    assert sum(one.holds for one in greedy) == 4
    modest = [Holder(shared, number) for number in (2, 3, 4, 5)]
    await settle()
    assert all(one.holds for one in modest)
    await end(greedy + modest)


async def test_a_free_connection_goes_in_turn_and_not_to_who_asked_first() -> None:
    shared = budget(total=1, each=1)
    order: list[int] = []
    first = Holder(shared, 9)
    await settle()
    crowd = [Holder(shared, 1, order) for _ in range(5)]
    await settle()
    late = [Holder(shared, number, order) for number in (2, 3)]
    await settle()
    everybody = crowd + late
    first.let_go()
    for _ in everybody:
        await settle()
        next(one for one in everybody if one.holds).let_go()
    await settle()
    assert order == [1, 2, 3, 1, 1, 1, 1]


async def test_who_waits_too_long_is_refused_and_leaves_nothing() -> None:
    shared = budget(total=1, each=1, timeout_s=0.01)
    holder = Holder(shared, 1)
    await settle()
    for number in (1, 2):
        with pytest.raises(PoolExhausted):
            async with shared.slot(tenant(number)):
                pytest.fail("entered")
    holder.let_go()
    await settle()
    async with shared.slot(tenant(2)):
        assert shared._waiting == {}
        assert not shared._turns


async def test_a_queue_has_an_end() -> None:
    shared = budget(total=2, each=1)
    holder = Holder(shared, 1)
    await settle()
    waiting = [Holder(shared, 1) for _ in range(MAX_WAITING)]
    await settle()
    with pytest.raises(PoolExhausted):
        async with shared.slot(tenant(1)):
            pytest.fail("entered")
    async with shared.slot(tenant(2)):
        pass
    await end([holder, *waiting])


async def test_who_is_cancelled_in_the_moment_it_is_granted_gives_it_back() -> None:
    shared = budget(total=1, each=1)
    first, second, third = (Holder(shared, number) for number in (1, 2, 3))
    await settle()
    first.let_go()
    await asyncio.sleep(0)  # it has left, and the second was granted, and has not run yet
    second.task.cancel()
    await settle()
    assert third.holds
    await end([third])
    assert shared._free == 1


class Crowd:
    """Tasks that take slots, hold them a while, and are cancelled at random."""

    def __init__(self, total: int, each: int, seed: int) -> None:
        self.shared = budget(total, each)
        self.total, self.each = total, each
        self.chance = random.Random(seed)  # noqa: S311 - any will do
        self.holding: Counter[int] = Counter()
        self.served: Counter[int] = Counter()

    async def one(self, number: int) -> None:
        async with self.shared.slot(tenant(number)):
            self.holding[number] += 1
            try:
                assert self.holding[number] <= self.each
                assert self.holding.total() <= self.total
                for _ in range(self.chance.randrange(4)):
                    await asyncio.sleep(0)
                self.served[number] += 1
            finally:
                self.holding[number] -= 1

    async def run(self, askers: list[int], share_cancelled: float) -> None:
        tasks = []
        for number in askers:
            tasks.append(asyncio.create_task(self.one(number)))
            if self.chance.random() < share_cancelled:
                self.chance.choice(tasks).cancel()
            if self.chance.random() < 0.3:
                await asyncio.sleep(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        wrong = [one for one in outcomes if isinstance(one, Exception)]
        assert not wrong, wrong


@given(
    total=st.integers(1, 6),
    each=st.integers(1, 6),
    seed=st.integers(0, 2**32),
    askers=st.lists(st.integers(1, 5), max_size=120),
    share_cancelled=st.sampled_from([0.0, 0.2, 0.8]),
)
@settings(max_examples=300, deadline=None)
def test_never_over_never_starved_never_leaked(
    total: int, each: int, seed: int, askers: list[int], share_cancelled: float
) -> None:
    crowd = Crowd(total, each, seed)
    asyncio.run(crowd.run(askers, share_cancelled))
    if not share_cancelled:
        assert crowd.served == Counter(askers)
    shared = crowd.shared
    assert (shared._free, shared._held, shared._waiting) == (total, {}, {})
    assert not shared._turns
