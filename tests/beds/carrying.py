"""One event on its way to one destination, through a real dispatcher."""

from typing import Any
from uuid import UUID

from crossdock.delivery.model import Attempt
from tests.beds.delivery import DeliveryBed, until


async def delivered(
    bed: DeliveryBed, tenant: UUID, body: bytes = b'{"n": 1}', state: str = "delivered", **how: Any
) -> Attempt:
    """Send an event until its one delivery is in a state; return the last attempt."""
    async with bed.dispatching(**how) as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant, body)))

        async def has_ended() -> bool:
            return (await bed.states(tenant))[-1] == state

        await until(has_ended)
    return (await bed.all_of(tenant))[-1].attempts[-1]
