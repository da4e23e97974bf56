"""Partition, latency and resets between our programs and their servers: no false acknowledgement.

What is answered 202 is stored, whichever wire stalls, lags or breaks; and all of it is delivered
once the wires are whole.
"""

import asyncio
from collections import Counter
from time import monotonic
from typing import Final

import pytest

from tests.faults.oracle import Observed
from tests.faults.proxy import Way
from tests.faults.rig import Rig
from tests.faults.traffic import ACCEPTED, Answer, Book
from tests.faults.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OUTAGE_S: Final = 2.5
"""A little more than a gateway waits for the broker's word."""
REFUSED: Final = 503
RESETS: Final = 12


async def answered(book: Book, start: float, *, least: int) -> list[Answer]:
    """Return the answers to what was sent from a moment on, once there are enough."""
    await until(
        lambda: len(book.between(start, monotonic())) >= least,
        lambda: f"{least} answers since: {Counter(a.status for a in book.answers)}",
    )
    return book.between(start, monotonic())


@pytest.mark.parametrize("lost", [("up", "down"), ("down",)], ids=["both-ways", "answers-only"])
async def test_a_gateway_cut_off_from_the_broker_accepts_nothing(
    rig: Rig, observed: Observed, lost: tuple[Way, ...]
) -> None:
    async with observed.traffic(rate=60, retrying=True) as traffic:
        await traffic.more(30)
        rig.gateway_wires.nats.stall(*lost)
        # What was under way may still have had its answer.
        start = monotonic()
        during = await answered(traffic.book, start, least=30)
        assert {answer.status for answer in during} == {REFUSED}
        rig.heal()
        await traffic.more(60)
    book = traffic.book
    assert book.statuses() <= {ACCEPTED, REFUSED}
    assert set(book.accepted.values()) == {answer.serial for answer in book.answers}
    await observed.check(book)


async def test_distance_to_every_server_costs_time_and_nothing_else(
    rig: Rig, observed: Observed
) -> None:
    for wires in (rig.gateway_wires, rig.worker_wires):
        for wire in wires:
            wire.latency_s = 0.05
    async with observed.traffic(rate=100) as traffic:
        await traffic.more(80)
    assert traffic.book.statuses() == {ACCEPTED}
    rig.heal()
    await observed.check(traffic.book)


async def test_wires_that_break_all_the_time(rig: Rig, observed: Observed) -> None:
    await rig.impatient()
    async with observed.traffic(rate=100, retrying=True) as traffic:
        await traffic.more(30)
        wires = [*rig.gateway_wires, *rig.worker_wires]
        broken = 0
        for turn in range(RESETS):
            broken += wires[turn % len(wires)].reset()
            await asyncio.sleep(0.2)
        await traffic.more(60)
    assert broken > RESETS, "There were wires to break."
    book = traffic.book
    assert book.statuses() <= {ACCEPTED, REFUSED}, "The sender is told, never left."
    assert set(book.accepted.values()) == {answer.serial for answer in book.answers}
    await observed.check(book)


@pytest.mark.parametrize("server", ["nats", "postgres"])
async def test_a_worker_cut_off_from_a_server_catches_up(
    rig: Rig, observed: Observed, server: str
) -> None:
    async with observed.traffic(rate=100) as traffic:
        await traffic.more(50)
        getattr(rig.worker_wires, server).stall()
        await asyncio.sleep(OUTAGE_S)
        await traffic.more(50)
        rig.heal()
        await traffic.more(30)
    assert traffic.book.statuses() == {ACCEPTED}, "Ingest needs no worker."
    await observed.check(traffic.book)


async def test_a_slow_database_slows_no_sender(rig: Rig, observed: Observed) -> None:
    for wires in (rig.gateway_wires, rig.worker_wires):
        wires.postgres.latency_s = 0.1
        wires.postgres.bytes_per_s = 128 * 1024
    async with observed.traffic(rate=150) as traffic:
        await traffic.more(300)
    assert traffic.book.statuses() == {ACCEPTED}, "A sender waits for the broker alone."
    rig.heal()
    await observed.check(traffic.book)


async def test_settings_that_a_gateway_misses_reach_it_another_way(
    rig: Rig, observed: Observed
) -> None:
    async with rig.rest(observed.key) as rest:
        (source,) = await rest.all("/v1/sources")
        rig.gateway_wires.nats.stall()
        await rest.call("DELETE", f"/v1/sources/{source['id']}")

        async def is_gone() -> bool:
            reply = await rest.call("POST", source["ingest_url"], raw=b"{}")
            return reply.status == 404

        await until(is_gone, "a gateway that asked PostgreSQL instead", within=5)
