"""Lines of a destination that is left alone: they wait, and go on in order."""

from aiohttp import web

from crossdock.breakers.model import Policy
from crossdock.breakers.service import Breakers
from crossdock.delivery.destinations.model import Rate, RetryPolicy
from tests.beds.delivery import Receiver
from tests.beds.ordering import OrderBed, numbers, over, without_repeats

OFTEN = RetryPolicy(delays_s=(0.05,) * 30)


async def test_a_breaker_that_opens_overturns_no_line(bed: OrderBed, receiver: Receiver) -> None:
    calls = [0]

    async def answer(_: web.Request) -> web.Response:
        calls[0] += 1
        return web.Response(status=500 if 10 < calls[0] <= 22 else 204)

    await bed.open(receiver.url("/breaks", answer))
    await bed.arrive([at % 3 for at in range(60)])
    opened = []
    breakers = Breakers(Policy(first_rest_s=0.1, longest_rest_s=0.1))
    breakers.on_change.append(lambda change: opened.append(change.state))
    async with bed.working(policy=OFTEN, breakers=breakers):
        await over(bed)
    assert opened[0] == "open"
    assert opened[-1] == "closed"
    seen = numbers(receiver.calls)
    assert {line: without_repeats(found) for line, found in seen.items()} == {
        line: list(range(line, 60, 3)) for line in range(3)
    }
    assert len(receiver.calls) == 72, "what was left alone was not attempted"


async def test_a_rate_overturns_no_line(bed: OrderBed, receiver: Receiver) -> None:
    await bed.open(receiver.url("/slowly"), rate=Rate(count=10, per_s=1.0))
    await bed.arrive([at % 3 for at in range(30)])
    async with bed.working():
        await over(bed)
    seen = numbers(receiver.calls)
    assert seen == {line: list(range(line, 30, 3)) for line in range(3)}
    at = [call.at for call in receiver.calls]
    assert at[-1] - at[0] > 2.0
