"""A tenant that is suspended is called no more within a second, and called again within another."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

import pytest
from aiohttp import web

from crossdock import ids
from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.dispatch.lines import Caps
from tests.beds.delivery import DeliveryBed, Receiver, until

BOUND_S: Final = 1.0
QUIET_S: Final = 1.5
"""After so long without a call, none that was due has been made."""

ALL_THE_TIME: Final = RetryPolicy(delays_s=(0.02,) * 2000)
FEW: Final = Caps(total=8, tenant=4, destination=4, waiting=64)


@pytest.fixture
async def busy(bed: DeliveryBed, receiver: Receiver) -> AsyncIterator[str]:
    """A tenant that is called all the time, and more waits in memory; gives its id's text."""

    async def fail(_: web.Request) -> web.Response:
        await asyncio.sleep(0.02)
        return web.Response(status=404)  # 5xx would open its breaker

    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/busy", fail))
    async with bed.dispatching(caps=FEW, policy=ALL_THE_TIME) as dispatcher:
        await dispatcher.offer(await bed.persist(*(bed.arrival(tenant) for _ in range(40))))
        await until(lambda: len(receiver.calls) > 20)
        yield ids.encode("ten", tenant)


async def quiet(receiver: Receiver) -> float:
    """Wait until nothing is called any more; return when the last call came."""
    await until(lambda: time.monotonic() - receiver.calls[-1].at > QUIET_S)
    return receiver.calls[-1].at


async def called_after(receiver: Receiver, moment: float) -> float:
    """Return when the first call after a moment came."""
    since: Callable[[], list[float]] = lambda: [  # noqa: E731
        call.at for call in receiver.calls if call.at > moment
    ]
    await until(since)
    return since()[0]


async def test_deliveries_stop_and_go_on_within_a_second(
    busy: str, bed: DeliveryBed, receiver: Receiver
) -> None:
    for _ in range(2):
        await bed.tenants.switch(busy, "suspended")
        suspended = time.monotonic()
        assert await quiet(receiver) - suspended < BOUND_S
        await bed.tenants.switch(busy, "active")
        resumed = time.monotonic()
        assert await called_after(receiver, resumed) - resumed < BOUND_S


async def test_what_waited_in_memory_is_nobodys_while_the_tenant_is_suspended(
    busy: str, bed: DeliveryBed, receiver: Receiver
) -> None:
    """Its leases are given back: whoever resumes it need not wait for them to end."""
    await bed.tenants.switch(busy, "suspended")
    await quiet(receiver)
    async with bed.database.queue() as conn:
        held = await conn.fetchval(
            "SELECT count(*) FROM crossdock.deliveries"
            " WHERE tenant_id = $1 AND state = 'pending' AND lease IS NOT NULL",
            ids.decode("ten", busy),
        )
    assert held == 0


async def test_another_tenant_notices_nothing(
    busy: str, bed: DeliveryBed, receiver: Receiver
) -> None:
    other = await bed.tenant()
    await bed.destination(other, receiver.url("/other"))
    await bed.tenants.switch(busy, "suspended")
    await bed.make_due(await bed.persist(bed.arrival(other)))
    await until(lambda: receiver.seen("/other"))
