"""What a soak says must be able to be bad: a leak, a loss, a double, a line out of order."""

from collections import Counter
from itertools import cycle
from typing import Any

import pytest
from aiohttp import web

from tests.faults.rest import Rest
from tests.soak.endpoints import Endpoints
from tests.soak.sampling import Sample, Sampler
from tests.soak.sending import Accepted, Sender, Source
from tests.soak.verdict import Verdict, judge
from tests.soak.ways import KEYS, WAYS, order_of

MIB = 1024**2


def trend_of(worker: list[int]) -> Any:
    """Return the trend of a worker that held these MiB, a look every five seconds."""
    sampler = Sampler.__new__(Sampler)
    sampler.samples = [
        Sample(5.0 * n, 200 * MIB, held * MIB, 0, 0, n, 1.0, 1.0, 1.0)
        for n, held in enumerate(worker)
    ]
    return sampler.trend("worker")


def test_what_grows_all_the_time_is_no_flat_memory() -> None:
    assert not trend_of([150 + n for n in range(120)]).is_flat


def test_what_settles_is_flat() -> None:
    warm = [100 + min(n, 20) * 5 for n in range(120)]
    noisy = [200 + (n * 7919) % 20 for n in range(120)]
    assert trend_of(warm).is_flat
    assert trend_of(noisy).is_flat


def test_ways_are_mixed_by_their_weights() -> None:
    counted = Counter(order_of(1_000))
    assert counted == {way: share.weight * 10 for way, share in WAYS.items()}


def test_ordered_events_go_by_all_lines_evenly() -> None:
    sources = [
        Source(f"tenant-{number}", "", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        for number in range(4)
    ]
    sender, turns = Sender(sources), cycle(sources)
    drawn = (
        (source, *sender.draw(source)) for source, _ in zip(turns, range(16_000), strict=False)
    )
    counted = Counter((source.tenant, key) for source, _, key in drawn if key is not None)
    assert len(counted) == len(sources) * KEYS
    assert max(counted.values()) - min(counted.values()) <= 1


async def test_what_comes_while_it_is_asked_about_was_late_and_is_no_loss() -> None:
    endpoints = Endpoints()
    endpoints.taken = TakenMeanwhile({"s1": "evt_1"})
    found = await verdict_of(accepted_of("plain"), endpoints, {"evt_1": ["delivered"]})
    assert found.is_clean
    assert found.delivered == 1


class TakenMeanwhile(dict[str, str]):
    """Knows of nothing the first time that it is asked."""

    asked = False

    def __contains__(self, serial: object) -> bool:
        was_asked, self.asked = self.asked, True
        return was_asked and super().__contains__(serial)


async def verdict_of(accepted: dict[str, Accepted], endpoints: Endpoints, states: Any) -> Verdict:
    """Return the verdict where REST tells these states of deliveries by event id."""

    async def event(request: web.Request) -> web.Response:
        return web.json_response({"id": request.match_info["id"], "matched": 0})

    async def deliveries(request: web.Request) -> web.Response:
        found = [{"state": state} for state in states.get(request.query["event_id"], [])]
        return web.json_response({"items": found, "next_cursor": None})

    app = web.Application()
    app.router.add_get("/v1/events/{id}", event)
    app.router.add_get("/v1/deliveries", deliveries)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sender = Sender([])
    sender.accepted = accepted
    sender.lines = {("ten", 1): ["s1", "s2"]}
    async with Rest(f"http://127.0.0.1:{runner.addresses[0][1]}") as rest:
        found = await judge(sender, endpoints, {"ten": rest})
    await runner.cleanup()
    return found


def accepted_of(*ways: Any) -> dict[str, Accepted]:
    """Return a book with an event of each way."""
    return {f"s{n}": Accepted(f"evt_{n}", "ten", way, 0.0, 0.0) for n, way in enumerate(ways, 1)}


async def test_each_ends_as_its_way_says() -> None:
    endpoints = Endpoints()
    endpoints.taken = {"s1": "evt_1"}
    states = {"evt_2": ["dead"], "evt_3": ["delivered"], "evt_5": ["pending"]}
    book = accepted_of("plain", "down", "inbox", "unwanted", "slow")
    found = await verdict_of(book, endpoints, states)
    assert found.is_clean
    assert (found.delivered, found.dead, found.unwanted, found.waiting) == (2, 1, 1, 1)


@pytest.mark.parametrize(
    ("way", "states"), [("plain", []), ("plain", ["delivered"]), ("plain", ["cancelled"])]
)
async def test_a_loss_is_seen(way: str, states: list[str]) -> None:
    found = await verdict_of(accepted_of(way), Endpoints(), {"evt_1": states})
    assert len(found.lost) == 1
    assert not found.is_clean


async def test_a_double_and_a_line_out_of_order_are_seen() -> None:
    endpoints = Endpoints()
    endpoints.taken = {"s1": "evt_1", "s2": "evt_2"}
    endpoints.others["s1"].add("evt_9")
    endpoints.lines = ["s2", "s1"]
    found = await verdict_of(accepted_of("ordered", "ordered"), endpoints, {})
    assert len(found.doubled) == 1
    assert len(found.disordered) == 1
    assert not found.is_clean
