"""Whom the dispatcher leaves alone: breakers, rates, concurrency, and who asks to wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Final
from uuid import UUID

import pytest
from aiohttp import web

from crossdock import ids
from crossdock.breakers.model import Policy
from crossdock.config import NatsSettings
from crossdock.delivery.destinations.model import Rate, RetryPolicy
from crossdock.delivery.dispatch.dispatcher import Dispatcher
from crossdock.delivery.dispatch.lines import Caps
from crossdock.native import LimitTable
from crossdock.telemetry.metrics import RATE_WAITS
from tests.beds.breakers import Crowd
from tests.beds.delivery import Behaviour, DeliveryBed, Receiver, until

BRIEF: Final = Policy(first_rest_s=0.4, longest_rest_s=0.4, jitter=0.1)
LATER: Final = RetryPolicy(delays_s=(1.0,) * 20)
CAPS: Final = Caps(total=32, tenant=32, destination=8, waiting=64)


@pytest.fixture
async def crowd(nats_settings: NatsSettings) -> AsyncIterator[Crowd]:
    """Whoever shares breakers over a bucket of the test's own."""
    async with AsyncExitStack() as stack:
        yield Crowd(stack, nats_settings, f"BREAKERS_T{ids.new().hex}")


class Service:
    """A receiver's path that breaks down and recovers, and counts who is with it at once."""

    def __init__(self) -> None:
        self.status = 204
        self.takes_s = 0.0
        self.now = 0
        self.most = 0
        self.statuses: list[int] = []

    def behaviour(self) -> Behaviour:
        """Return how it answers."""

        async def answer(_: web.Request) -> web.Response:
            self.now += 1
            self.most = max(self.most, self.now)
            self.statuses.append(self.status)
            await asyncio.sleep(self.takes_s)
            self.now -= 1
            return web.Response(status=self.statuses[-1] if self.takes_s == 0 else self.status)

        return answer


@asynccontextmanager
async def two(bed: DeliveryBed, crowd: Crowd) -> AsyncIterator[list[Dispatcher]]:
    """Run two dispatchers that share breakers over NATS, as two worker processes do."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(2):
            # The dispatcher runs its breakers itself.
            member = await crowd.member(BRIEF, is_run=False)
            dispatching = bed.dispatching(caps=CAPS, policy=LATER, breakers=member.breakers)
            found.append(await stack.enter_async_context(dispatching))
            await until(lambda member=member: member.sharing.is_heard)  # type: ignore[misc]
        yield found


async def are(bed: DeliveryBed, tenant: UUID, state: str, count: int) -> bool:
    """Tell whether all of a tenant's deliveries are so."""
    async with bed.database.queue() as conn:
        found = await conn.fetch(
            "SELECT state, count(*) FROM crossdock.deliveries WHERE tenant_id = $1 GROUP BY state",
            tenant,
        )
    return {row[0]: row[1] for row in found} == {state: count}


async def attempts(bed: DeliveryBed, tenant: UUID) -> int:
    """Return how many attempts were counted."""
    async with bed.database.queue() as conn:
        found: int = await conn.fetchval(
            "SELECT coalesce(sum(attempts), 0) FROM crossdock.deliveries WHERE tenant_id = $1",
            tenant,
        )
    return found


async def test_while_it_is_broken_single_probes_and_then_all_of_it_flows(
    bed: DeliveryBed, receiver: Receiver, crowd: Crowd
) -> None:
    service, tenant, count = Service(), await bed.tenant(), 300
    service.status = 503
    await bed.destination(tenant, receiver.url("/x", service.behaviour()))
    await bed.make_due(await bed.persist(*(bed.arrival(tenant) for _ in range(count))))
    async with two(bed, crowd):
        await until(lambda: len(service.statuses) >= 5)
        # Calls that were under way when it opened in one process, and before the other heard.
        await until(lambda: service.now == 0 and len(service.statuses) >= 8)
        await asyncio.sleep(0.2)
        flood = len(service.statuses)
        assert flood <= 2 * 2 * CAPS.destination
        service.most = 0
        await until(lambda: len(service.statuses) >= flood + 3)
        assert service.most == 1, "a probe is one delivery, of all processes"
        await until(lambda: service.now == 0)
        made = len(service.statuses)
        service.status, service.takes_s = 204, 0.005
        await until(lambda: are(bed, tenant, "delivered", count), within_s=40)
        assert service.most <= 2 * CAPS.destination
        assert len(service.statuses) <= made + count + 2, "no herd: each once"
    assert await attempts(bed, tenant) == len(service.statuses)


async def test_what_waits_for_a_breaker_is_not_counted_as_an_attempt(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    service, tenant = Service(), await bed.tenant()
    service.status = 500
    await bed.destination(tenant, receiver.url("/x", service.behaviour()))
    async with bed.dispatching(caps=CAPS, policy=LATER) as dispatcher:
        await dispatcher.offer(await bed.persist(*(bed.arrival(tenant) for _ in range(200))))
        await until(lambda: len(service.statuses) >= 5)

        async def is_quiet() -> bool:
            return dispatcher.flying == dispatcher.waiting == 0

        await until(is_quiet)
        await dispatcher.recorder.flushed()
        assert await attempts(bed, tenant) == len(service.statuses) <= 2 * CAPS.destination
        assert await are(bed, tenant, "pending", 200)


async def test_by_hand_it_is_held_or_let_through_within_seconds(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    service, tenant = Service(), await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/x", service.behaviour()), breaker="open")
    key = tenant, made.destination.id
    async with bed.dispatching(caps=CAPS, policy=LATER) as dispatcher:
        await dispatcher.offer(await bed.persist(*(bed.arrival(tenant) for _ in range(20))))
        other = await bed.tenant()
        await bed.destination(other, receiver.url("/other"))
        await dispatcher.offer(await bed.persist(bed.arrival(other)))
        await until(lambda: are(bed, other, "delivered", 1))
        assert not service.statuses
        service.status = 500
        await bed.destinations.patch(*key, {"breaker": "off"}, None)
        await until(lambda: len(service.statuses) >= 20)
        service.status = 204
        await until(lambda: are(bed, tenant, "delivered", 20))


async def test_a_rate_holds_over_processes_that_share_a_table(
    bed: DeliveryBed, receiver: Receiver, tmp_path: object
) -> None:
    service, tenant, count = Service(), await bed.tenant(), 25
    rate = Rate(count=5, per_s=1.0)
    await bed.destination(tenant, receiver.url("/x", service.behaviour()), rate=rate)
    await bed.make_due(await bed.persist(*(bed.arrival(tenant) for _ in range(count))))
    waits = RATE_WAITS._value.get()
    async with AsyncExitStack() as stack:
        for _ in range(3):
            table = LimitTable(f"{tmp_path}/table", b"boot", 64)
            await stack.enter_async_context(bed.dispatching(caps=CAPS, table=table))
        await until(lambda: are(bed, tenant, "delivered", count))
    at = [call.at for call in receiver.seen("/x")]
    assert len(at) == count == await attempts(bed, tenant)
    # A call arrives a little after it was let go, and the one before it may have been late.
    assert all(later - first > 0.8 for first, later in zip(at, at[5:], strict=False))
    assert RATE_WAITS._value.get() - waits < 40 * count, "it does not ask all the time"


async def test_who_waits_for_its_rate_holds_no_slot(bed: DeliveryBed, receiver: Receiver) -> None:
    slow, quick = await bed.tenant(), await bed.tenant()
    await bed.destination(slow, receiver.url("/slow"), rate=Rate(count=1, per_s=3600))
    await bed.destination(quick, receiver.url("/quick"))
    caps = Caps(total=2, tenant=2, destination=2, waiting=2)
    async with bed.dispatching(caps=caps) as dispatcher:
        await dispatcher.offer(await bed.persist(*(bed.arrival(slow) for _ in range(50))))
        await until(lambda: receiver.seen("/slow"))
        await dispatcher.offer(await bed.persist(*(bed.arrival(quick) for _ in range(50))))
        await until(lambda: are(bed, quick, "delivered", 50))
        assert dispatcher.flying == dispatcher.waiting == 0
    assert len(receiver.seen("/slow")) == 1
    assert await attempts(bed, slow) == 1


async def test_concurrency_is_kept_and_a_change_of_it_is_soon_known(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    service, tenant = Service(), await bed.tenant()
    service.takes_s = 0.02
    made = await bed.destination(tenant, receiver.url("/x", service.behaviour()), concurrency=2)
    await bed.make_due(await bed.persist(*(bed.arrival(tenant) for _ in range(900))))
    async with bed.dispatching(caps=CAPS):
        await until(lambda: len(service.statuses) > 60)
        assert service.most == 2
        await bed.destinations.patch(tenant, made.destination.id, {"concurrency": 6}, None)
        await until(lambda: service.most == 6)
        await bed.destinations.patch(tenant, made.destination.id, {"concurrency": 1}, None)

        async def is_narrow() -> bool:
            service.most, seen = 0, len(service.statuses)
            await until(lambda: len(service.statuses) > seen + 10)
            return service.most == 1

        await until(is_narrow)


@pytest.mark.parametrize("status", [429, 503])
async def test_who_asks_to_wait_is_left_alone_with_all_that_waits_for_it(
    bed: DeliveryBed, receiver: Receiver, crowd: Crowd, status: int
) -> None:
    tenant, asked = await bed.tenant(), [False]

    async def answer(_: web.Request) -> web.Response:
        if asked[0]:
            return web.Response(status=204)
        asked[0] = True
        return web.Response(status=status, headers={"retry-after": "2"})

    path = f"/{status}"
    retry = RetryPolicy(delays_s=(1.0,), cap_s=10.0)
    await bed.destination(tenant, receiver.url(path, answer), concurrency=1, retry=retry)
    await bed.make_due(await bed.persist(*(bed.arrival(tenant) for _ in range(40))))
    async with two(bed, crowd):
        await until(lambda: are(bed, tenant, "delivered", 40))
    at = [call.at for call in receiver.seen(path)]
    gaps = [later - first for first, later in pairwise(at)]
    assert max(gaps) > 1.8, "a pause of all"
    # One call of the other process may have been under way.
    assert gaps.index(max(gaps)) <= 2
    assert await attempts(bed, tenant) == 41


async def test_a_wish_to_wait_is_granted_for_no_longer_than_a_retry_would_wait(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant, asked = await bed.tenant(), [0]

    async def answer(_: web.Request) -> web.Response:
        asked[0] += 1
        if asked[0] > 1:
            return web.Response(status=204)
        return web.Response(status=503, headers={"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"})

    await bed.destination(tenant, receiver.url("/x", answer), concurrency=1)
    await bed.make_due(await bed.persist(*(bed.arrival(tenant) for _ in range(10))))
    async with bed.dispatching(caps=CAPS, policy=RetryPolicy(delays_s=(0.5,) * 3)):
        await until(lambda: are(bed, tenant, "delivered", 10))
