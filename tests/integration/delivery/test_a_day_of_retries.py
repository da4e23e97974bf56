"""Twenty-four hours of retries, by the clock and not by waiting.

Real dispatchers, a real database and real receivers, which behave by the time that has passed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, Final

import pytest
from aiohttp import web

from crossdock.delivery.client import Client
from crossdock.delivery.dispatch.dispatcher import Dispatcher, DispatchSettings
from crossdock.delivery.rules import DEFAULT_DELAYS_S, JITTER
from tests.beds.days import LINGER, Days
from tests.beds.delivery import CAPS, GUARD, Behaviour, DeliveryBed, Receiver, hanging

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
HANGS: Final = "hangs"
EVENTS: Final = 6
TIMEOUT_S: Final = 0.2
SLACK_S: Final = 3.0
"""Real seconds that a step may take."""


class Diary:
    """When, by the time that passes, which event was tried where."""

    def __init__(self, days: Days, receiver: Receiver) -> None:
        self._days = days
        self._receiver = receiver
        self.tries: dict[tuple[str, str], list[float]] = {}

    def url(self, path: str, answer: Callable[[float, int], Any]) -> str:
        """Return a path's URL; `answer` is told the time passed and how often the event came."""

        async def behave(request: web.Request) -> web.StreamResponse:
            key = path, request.headers["webhook-id"]
            earlier = self.tries.setdefault(key, [])
            now = self._days.passed_s
            earlier.append(now)
            said = answer(now, len(earlier))
            if said == HANGS:
                return await hanging(request)
            status, headers = said if isinstance(said, tuple) else (said, {})
            return web.Response(status=status, headers=headers)

        behaviour: Behaviour = behave
        return self._receiver.url(path, behaviour)

    def of(self, path: str) -> list[list[float]]:
        """Return the times of each event's tries at a path."""
        return [times for (where, _), times in self.tries.items() if where == path]


@asynccontextmanager
async def dispatching(bed: DeliveryBed, days: Days, number: int) -> AsyncIterator[None]:
    """Run so many dispatchers on the default schedule, all by the same clock."""
    settings = DispatchSettings(
        caps=CAPS, lease_s=30.0, timeout_s=TIMEOUT_S, poll_s=0.02, policy=None, held_bytes=2**26
    )
    async with Client(GUARD, connections=CAPS.total) as client:
        dispatchers = [
            Dispatcher(
                bed.database,
                client,
                bed.sealer,
                settings,
                keys=bed.keys,
                clock=days.clock,
                monotonic=days.monotonic,
            )
            for _ in range(number)
        ]
        running = [asyncio.create_task(one.run()) for one in dispatchers]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)


def until_then(moment: float, before: Any) -> Callable[[float, int], Any]:
    """Answer so before a moment, and 204 from then on."""
    return lambda now, _count: before if now < moment else 204


def asks_to_wait(seconds: int) -> Callable[[float, int], Any]:
    """Answer each event's first try with a `Retry-After`."""
    return lambda _now, count: (429, {"retry-after": str(seconds)}) if count == 1 else 204


def check_schedule(times: list[float]) -> None:
    """Hold an event's tries to the default schedule, 20 % either way."""
    assert times[0] < SLACK_S, "The first is at once."
    for number, (one, next_one) in enumerate(pairwise(times)):
        nominal, gap = DEFAULT_DELAYS_S[number], next_one - one
        least, most = nominal * (1 - JITTER), nominal * (1 + JITTER)
        # Jumps go a little too far: by a part of the wait, and of what they wait for together.
        assert least - 0.1 <= gap <= most * (1 + LINGER) ** 2 + 2 * SLACK_S, (number, gap, times)


async def test_a_day_passes(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    days = Days(bed.database)
    diary = Diary(days, receiver)
    ways: dict[str, Callable[[float, int], Any]] = {
        "/well": until_then(0, 204),
        "/minutes": until_then(20 * 60, 503),
        "/hours": until_then(6 * HOUR, 500),
        "/never": until_then(9 * DAY, 503),
        "/hangs": until_then(HOUR, HANGS),
        "/asks": asks_to_wait(1800),
        "/gone": until_then(9 * DAY, 410),
    }
    made = {
        # A breaker would spread the tries of what fails for long; here the schedule is looked at.
        path: await bed.destination(
            tenant, diary.url(path, way), event_types=[f"day{path}"], breaker="off"
        )
        for path, way in ways.items()
    }
    for path in ways:
        # As a worker that died leaves them: due, and nobody's.
        arrivals = [bed.arrival(tenant, event_type=f"day{path}") for _ in range(EVENTS)]
        await bed.make_due(await bed.persist(*arrivals))
    async with dispatching(bed, days, 2):
        jumps = await days.pass_until(DAY)
    assert jumps > len(DEFAULT_DELAYS_S), "Time has passed."

    async def states(path: str) -> dict[str, int]:
        found = await bed.all_of(tenant, destination_id=made[path].destination.id)
        counted: dict[str, int] = {}
        for one in found:
            counted[one.delivery.state] = counted.get(one.delivery.state, 0) + 1
        return counted

    for path in ("/well", "/minutes", "/hours", "/hangs", "/asks"):
        assert await states(path) == {"delivered": EVENTS}, path
    assert await states("/never") == {"pending": EVENTS}
    tried = {path: sorted(map(len, diary.of(path))) for path in ways}
    assert tried["/well"] == [1] * EVENTS
    assert tried["/minutes"] == [6] * EVENTS, "5 s, 30 s, 2 min and 10 min were in vain."
    assert tried["/hours"] == [8] * EVENTS, "So were all up to 3 h."
    assert set(tried["/never"]) <= {8, 9}, "The ninth comes after 18 to 27 hours."
    for path in ("/minutes", "/hours", "/never", "/hangs"):
        for times in diary.of(path):
            check_schedule(times)
    for first, second in diary.of("/asks"):
        assert second - first >= 1800, "Retry-After is the receiver's word."
        assert second - first <= 1800 * 1.25 + 2 * SLACK_S
    gone = await bed.all_of(tenant, destination_id=made["/gone"].destination.id)
    dead = [one for one in gone if one.delivery.state == "dead"]
    assert dead, "410 is final."
    assert all(one.delivery.attempts <= 1 for one in gone), "and nothing is tried again."
    shown = await bed.destinations.get(tenant, made["/gone"].destination.id)
    assert shown.state == "disabled"
    assert {one.delivery.state for one in gone} <= {"dead", "pending"}
    for times in diary.of("/gone"):
        assert len(times) == 1


async def test_a_week_ends_it(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    days = Days(bed.database)
    diary = Diary(days, receiver)
    url = diary.url("/week", until_then(90 * DAY, 503))
    await bed.destination(tenant, url, breaker="off")
    await bed.make_due(await bed.persist(*(bed.arrival(tenant) for _ in range(EVENTS))))
    async with dispatching(bed, days, 1):
        await days.pass_until(7 * DAY)
    assert await bed.states(tenant) == ["dead"] * EVENTS
    for times in diary.of("/week"):
        assert len(times) == len(DEFAULT_DELAYS_S) + 1
        check_schedule(times)
    reasons: set[Any] = {one.delivery.reason for one in await bed.all_of(tenant)}
    assert reasons == {"attempts_exhausted"}


async def test_a_breaker_spares_what_is_down_and_everything_comes(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    days = Days(bed.database, step_s=60)
    diary = Diary(days, receiver)
    url = diary.url("/spared", until_then(HOUR / 2, 503))
    await bed.destination(tenant, url)
    count = EVENTS * 5
    await bed.make_due(await bed.persist(*(bed.arrival(tenant) for _ in range(count))))
    async with dispatching(bed, days, 2):
        await days.pass_until(DAY)
    assert await bed.states(tenant) == ["delivered"] * count
    for times in diary.of("/spared"):
        for number, (one, next_one) in enumerate(pairwise(times)):
            assert next_one - one >= DEFAULT_DELAYS_S[number] * (1 - JITTER) - 0.1
