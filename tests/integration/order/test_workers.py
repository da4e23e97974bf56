"""Whole workers, killed and replaced: order is kept, and nothing is lost."""

import asyncio
from collections import defaultdict
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest
from aiohttp import web

from crossdock.config import Settings
from crossdock.delivery.destinations.model import Order
from tests.beds.delivery import Receiver, until
from tests.beds.ordering import OrderBed, without_repeats
from tests.beds.worker import WorkerProcess, for_tests, working

KEYS = 12


@pytest.fixture
def worker_settings(order_settings: Settings) -> Settings:
    """Settings of one worker."""
    return for_tests(order_settings)


@pytest.fixture
async def tenant(bed: OrderBed) -> UUID:
    """A tenant."""
    return await bed.deliveries.tenant()


def body(key: int, number: int) -> bytes:
    """Return a payload whose key is where the destination looks for it."""
    return msgspec.json.encode({"data": {"account": f"a{key}"}, "number": number})


def by_key(receiver: Receiver) -> dict[str, list[int]]:
    """Return the numbers that each key's events came in."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for call in receiver.calls:
        payload: dict[str, Any] = msgspec.json.decode(call.body)
        found[payload["data"]["account"]].append(payload["number"])
    return dict(found)


def has_seen(receiver: Receiver, calls: int) -> bool:
    """Tell whether so many calls came."""
    return len(receiver.calls) >= calls


async def accept(bed: OrderBed, tenant: UUID, first: int, count: int) -> None:
    """Accept webhooks, keys in turn."""
    for at in range(first, first + count, 50):
        some = [
            bed.deliveries.arrival(tenant, body(number % KEYS, number)).message
            for number in range(at, min(at + 50, first + count))
        ]
        await asyncio.gather(*(bed.ingest.accept(message) for message in some))


async def test_killed_workers_keep_order_by_key(
    bed: OrderBed, tenant: UUID, receiver: Receiver, worker_settings: Settings
) -> None:
    """Three are killed, wherever they are: between commit and acknowledgement, or between calls."""

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(0.003)
        return web.Response(status=204)

    await bed.deliveries.destination(
        tenant, receiver.url("/ordered", answer), order=Order("/data/account")
    )
    async with working(worker_settings):
        for turn in range(3):
            before = len(receiver.calls)
            victim = WorkerProcess(for_tests(worker_settings))
            await victim.start()
            await victim.ready()
            await accept(bed, tenant, turn * 240, 240)
            await until(partial(has_seen, receiver, before + 60))
            await victim.kill()
        everything = 3 * 240

        async def all_arrived() -> bool:
            return len({call.body for call in receiver.calls}) == everything

        await until(all_arrived, within_s=90)
    for key, seen in by_key(receiver).items():
        first_seen = without_repeats(seen)
        assert first_seen == sorted(first_seen), key
    assert len(by_key(receiver)) == KEYS


async def test_an_idle_line_starts_soon_after_its_event(
    bed: OrderBed, tenant: UUID, receiver: Receiver, worker_settings: Settings
) -> None:
    """By the hint of who persisted it: the next is accepted when the last has come."""
    await bed.deliveries.destination(tenant, receiver.url("/soon"), order=Order("/data/account"))
    async with working(worker_settings):
        for number in range(20):
            await accept(bed, tenant, number, 1)
            await until(partial(has_seen, receiver, number + 1))
    assert [msgspec.json.decode(call.body)["number"] for call in receiver.calls] == list(range(20))
