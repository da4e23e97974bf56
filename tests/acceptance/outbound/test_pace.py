"""How fast, how many at once, and in which order a destination is called."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from tests.acceptance.house import House
from tests.acceptance.inbound.feed import Sent
from tests.acceptance.outbound.lanes import beside, delivered, lane, patch, state_of
from tests.faults.oracle import disorder
from tests.faults.waiting import until

QUICK = {"delays_s": [1] * 20}


async def test_no_more_than_its_rate(house: House) -> None:
    feed = await lane(house, rate={"count": 5, "per_s": 1})
    everything = await beside(feed)
    sent = [await feed.send("a.b") for _ in range(25)]
    for one in sent:
        await everything.arrived(one)
    await until(lambda: len(feed.came()) == 25, "all of them", within=20)
    times = sorted(arrival.at for arrival in feed.came())
    # Whatever second is looked at, it holds what the bucket does and what flows in meanwhile.
    for start in times:
        assert sum(start <= at < start + 1.0 for at in times) <= 11, times
    assert times[-1] - times[0] >= 3.0
    for one in sent:
        assert (await delivered(feed, one))["attempt_count"] == 1, "Waiting costs no attempt."


async def test_no_more_at_once_than_it_says(house: House) -> None:
    feed = await lane(house, concurrency=2)
    house.receiver.slow(feed.path, 0.2)
    for _ in range(16):
        await feed.send("a.b")
    await until(lambda: len(feed.came()) == 16, "all of them", within=30)
    assert house.receiver.most[feed.path] == 2


async def test_retry_after_pauses_the_whole_destination(house: House) -> None:
    feed = await lane(house, retry={"delays_s": [1, 1, 1], "cap_s": 30})
    first = await feed.send("a.b")
    house.receiver.answer(
        feed.path,
        lambda event, earlier: (
            (429, {"retry-after": "3"}) if event == first.id and earlier < 1 else 204
        ),
    )
    await until(feed.came, "the first attempt")
    paused_at = feed.came()[0].at
    if feed.came()[0].status != 429:
        pytest.skip("it came before the receiver was told to refuse")
    await asyncio.sleep(0.5)
    second = await feed.send("a.b")
    await delivered(feed, second)
    await delivered(feed, first)
    others = [one for one in feed.came() if one.at > paused_at]
    assert min(one.at for one in others) - paused_at >= 2.9


@pytest.mark.parametrize(
    "text",
    [
        "-5",
        "9" * 400,
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "soon",
        "1e9",
        "3.7",
        "١٢",
        "NaN",
        "0x10",
        "+1",
        "99999999999",
    ],
)
async def test_an_odd_retry_after_is_bounded_or_ignored(house: House, text: str) -> None:
    feed = await lane(house, retry={"delays_s": [1], "cap_s": 2})
    house.receiver.answer(
        feed.path,
        lambda _event, earlier: (503, {"retry-after": text}) if earlier < 1 else 204,
    )
    await delivered(feed, await feed.send("a.b"), within=15)


async def test_order_is_kept_by_key_while_things_fail(house: House) -> None:
    feed = await lane(house, order={"by": "/data/key"}, retry=QUICK, breaker="off")
    failing: set[str] = set()

    def moody(event_id: str, earlier: int) -> int:
        if hash(event_id) % 4 == 0 and earlier < 1:
            failing.add(event_id)
            return 503
        return 204

    house.receiver.answer(feed.path, moody)
    lines: dict[str, list[Sent]] = {key: [] for key in "abcde"}
    for number in range(12):
        for key, line in lines.items():
            line.append(await feed.send("a.b", key=key, number=number))
    everything = {one.serial for line in lines.values() for one in line}
    await until(
        lambda: {one.serial for one in feed.came() if one.status < 300} == everything,
        lambda: f"all of them: {len(feed.came())}",
        within=40,
    )
    serials = [[one.serial for one in line] for line in lines.values()]
    assert disorder(feed.came(), serials) == []


async def test_a_dead_head_lets_its_line_go_on_or_holds_it(house: House) -> None:
    lets = await lane(house, order={"by": "source"}, retry={"delays_s": [1]}, breaker="off")
    holds = await beside(
        lets,
        order={"by": "source", "hold": "until_delivered"},
        retry={"delays_s": [1]},
        breaker="off",
    )
    first = await lets.send("a.b")
    broken = True
    for feed in (lets, holds):
        house.receiver.answer(
            feed.path, lambda event, _earlier: 400 if broken and event == first.id else 204
        )
    second = await lets.send("a.b")
    await state_of(lets, first.id, "dead")
    await delivered(lets, second)
    dead = await state_of(holds, first.id, "dead")
    await lets.passed()
    assert {one.serial for one in holds.came()} == {first.serial}, "Its line is held."
    broken = False
    await house.rest.post(f"/v1/deliveries/{dead['id']}/replay")
    await delivered(holds, second)
    order = [one.serial for one in holds.came() if one.status < 300]
    assert order.index(first.serial) < order.index(second.serial)


async def test_a_held_line_goes_on_when_its_head_is_cancelled(house: House) -> None:
    feed = await lane(house, order={"by": "source", "hold": "until_delivered"}, retry={"count": 0})
    first = await feed.send("a.b")
    house.receiver.answer(feed.path, lambda event, _earlier: 400 if event == first.id else 204)
    second = await feed.send("a.b")
    dead = await state_of(feed, first.id, "dead", "delivered")
    if dead["state"] == "delivered":
        pytest.skip("it came before the receiver was told to refuse")
    await house.rest.post(f"/v1/deliveries/{dead['id']}/cancel")
    await delivered(feed, second)


async def test_events_without_the_key_have_no_order(house: House) -> None:
    feed = await lane(house, order={"by": "/data/key"}, retry={"delays_s": [30]})
    odd: list[Any] = [None, {"a": 1}, [1]]
    stuck = await feed.send("a.b", key="x")
    house.receiver.answer(feed.path, lambda event, _earlier: 503 if event == stuck.id else 204)
    for value in odd:
        await delivered(feed, await feed.send("a.b", key=value))
    await delivered(feed, await feed.send("a.b"))
    await delivered(feed, await feed.send("a.b", key="y"))


async def test_a_breaker_that_is_forced_open_lets_nothing_through(house: House) -> None:
    feed = await lane(house, breaker="open")
    everything = await beside(feed)
    sent = [await feed.send("a.b") for _ in range(5)]
    for one in sent:
        await everything.arrived(one)
    assert feed.came() == []
    await patch(feed, breaker="auto")
    for one in sent:
        assert (await delivered(feed, one))["attempt_count"] == 1, "It was never tried."


async def test_a_breaker_opens_by_itself_and_is_seen(house: House) -> None:
    feed = await lane(house, retry={"delays_s": [1] * 30})
    broken = True
    house.receiver.answer(feed.path, lambda _event, _earlier: 503 if broken else 204)
    sent = [await feed.send("a.b") for _ in range(40)]
    path = f"/v1/destinations/{feed.destination['id']}/health"

    async def is_open() -> bool:
        return bool('"open"' in (await house.rest.call("GET", path)).body.decode())

    await until(is_open, "an open breaker")
    tried = len(feed.came())
    await asyncio.sleep(2)  # in which each would be tried again, by its delays
    assert len(feed.came()) - tried < len(sent), "What is down is spared."
    broken = False
    for one in sent:
        await delivered(feed, one, within=40)
    gaps = [b.at - a.at for a, b in pairwise(feed.came())]
    assert max(gaps) > 4, "It rests before it is tried again."
