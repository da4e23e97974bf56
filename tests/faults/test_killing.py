"""Each process of the stack is killed while webhooks flow: nothing that was answered 202 is lost.

One stack serves all of these tests, so each also starts from what the one before left behind.
"""

import asyncio
import random
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

import psutil
import pytest

from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import ProcessFailed
from tests.faults.oracle import Scene, open_scene
from tests.faults.stack import answers, end, freeze, thaw
from tests.faults.traffic import ACCEPTED, NO_ANSWER, Answer, Book
from tests.faults.waiting import until

pytestmark = pytest.mark.slow

OUTAGE_S: Final = 3.0
PROMPT_S: Final = 4.0
"""Less than a lease: what nobody disturbs is delivered by the worker that persisted it."""
WORKER_KILLS: Final = 5
REFUSED: Final = {NO_ANSWER, 503}
"""What a sender may hear while the broker is away."""
GROWTH: Final = 48 * 1024**2
"""Bytes that a gateway may grow by in an outage: its queues are bounded, whatever the load."""


@pytest.fixture(scope="module")
async def scene() -> AsyncIterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="crossdock-faults-") as folder:
        async with open_scene(Path(folder) / "data") as opened:
            yield opened


@pytest.fixture(autouse=True)
async def whole(scene: Scene) -> None:
    """Each test begins with a stack that is whole."""
    await scene.stack.ready()


@pytest.mark.timeout(60)
async def test_nothing_is_lost_when_nothing_is_killed(scene: Scene) -> None:
    async with scene.traffic() as traffic:
        await traffic.more(300)
    assert traffic.book.statuses() == {ACCEPTED}
    verdict = await scene.check(traffic.book, within=PROMPT_S)
    assert verdict.repeats == 0


@pytest.mark.timeout(60)
async def test_a_gateway_process_is_killed(scene: Scene) -> None:
    async with scene.traffic() as traffic:
        await traffic.more(100)
        victim, *others = scene.stack.gateway_processes()
        await end(victim)
        await scene.stack.replaced([victim])
        await traffic.more(200)
    assert traffic.book.statuses() <= {ACCEPTED, NO_ANSWER}
    assert all(process.is_running() for process in others), "Its siblings serve on."
    await scene.check(traffic.book)


@pytest.mark.timeout(60)
async def test_the_senders_retry_after_a_gateways_death_is_deduplicated(scene: Scene) -> None:
    # Many at a time, so that some are stored and not yet answered when it dies.
    async with scene.traffic(rate=600, connections=64, retrying=True) as traffic:
        for _ in range(3):
            await traffic.more(200)
            victim = scene.stack.gateway_processes()[0]
            await end(victim)
            await scene.stack.replaced([victim])
    book = traffic.book
    assert set(book.accepted.values()) == {answer.serial for answer in book.answers}
    await scene.check(book)


@pytest.mark.timeout(60)
async def test_the_gateways_master_is_killed(scene: Scene) -> None:
    async with scene.traffic() as traffic:
        await traffic.more(100)
        family = [scene.stack.gateway, *scene.stack.gateway_processes()]
        await end(family[0])
        await scene.stack.replaced(family)
        await traffic.more(200)
    assert traffic.book.statuses() <= {ACCEPTED, NO_ANSWER}
    await scene.check(traffic.book)


@pytest.mark.timeout(60)
async def test_the_worker_is_killed(scene: Scene) -> None:
    async with scene.traffic() as traffic:
        await traffic.more(100)
        victim = scene.stack.worker
        await end(victim)
        await scene.stack.replaced([victim])
        await traffic.more(200)
    assert traffic.book.statuses() == {ACCEPTED}, "Senders notice nothing."
    await scene.check(traffic.book)


@pytest.mark.timeout(120)
async def test_workers_are_killed_again_and_again_at_any_moment(scene: Scene) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"{seed=}")  # noqa: T201 - pytest shows it where the test fails
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    victims: list[psutil.Process] = [scene.stack.another_worker() for _ in range(2)]
    async with scene.traffic(rate=200) as traffic:
        for turn in range(WORKER_KILLS):
            victim = victims[turn % 2]
            await until(lambda: _delivers(victim, scene), "a worker at work")  # noqa: B023
            # Somewhere between the pull, the COMMIT, the deliveries and the ack.
            await asyncio.sleep(chance.uniform(0.0, 0.1))
            await end(victim)
            victims[turn % 2] = scene.stack.another_worker()
    for victim in victims:
        await end(victim)
    assert traffic.book.statuses() == {ACCEPTED}, "Senders notice nothing."
    await scene.check(traffic.book)


@pytest.mark.timeout(60)
async def test_the_broker_is_killed(scene: Scene) -> None:
    async with scene.traffic(retrying=True) as traffic:
        await traffic.more(100)
        victim = scene.stack.nats
        await end(victim)
        await scene.stack.replaced([victim])
        await traffic.more(200)
    assert traffic.book.statuses() <= {ACCEPTED, *REFUSED}
    await scene.check(traffic.book)


@pytest.mark.timeout(90)
async def test_while_the_broker_is_away_nothing_is_accepted(scene: Scene) -> None:
    async with scene.traffic(retrying=True) as traffic:
        await traffic.more(100)
        before = scene.stack.memory()
        # A supervisor that stands still starts nothing again.
        await freeze([scene.stack.supervisor])
        try:
            start = await end(scene.stack.nats)
            during = await _answers_during(traffic.book, start)
            grown = scene.stack.memory() - before
        finally:
            thaw([scene.stack.supervisor])
        await traffic.more(200)
    assert {answer.status for answer in during} == {503}, Counter(a.status for a in during)
    assert grown < GROWTH
    await scene.check(traffic.book)


@pytest.mark.timeout(90)
async def test_a_broker_that_hangs_acknowledges_nothing(scene: Scene) -> None:
    async with scene.traffic(retrying=True) as traffic:
        await traffic.more(100)
        broker = scene.stack.nats
        start = await freeze([broker])
        try:
            during = await _answers_during(traffic.book, start, least=1)
        finally:
            thaw([broker])
        await traffic.more(200)
    assert {answer.status for answer in during} <= REFUSED, Counter(a.status for a in during)
    await scene.check(traffic.book)


@pytest.mark.timeout(60)
async def test_the_database_is_killed(scene: Scene) -> None:
    async with scene.traffic() as traffic:
        await traffic.more(100)
        victim = scene.stack.postgres
        await end(victim)
        await scene.stack.replaced([victim])
        await until(lambda: _serves(scene), "a database that has recovered")
        await traffic.more(200)
    async with scene.stack.rest(scene.key) as rest:
        replies = [await rest.call("GET", "/v1/sources") for _ in range(20)]
    assert {reply.status for reply in replies} == {200}, "Nobody is handed a dead connection."
    assert traffic.book.statuses() == {ACCEPTED}, "Ingest needs no database."
    await scene.check(traffic.book)


@pytest.mark.timeout(90)
async def test_while_the_database_is_away_webhooks_are_taken_and_drain_afterwards(
    scene: Scene,
) -> None:
    async with scene.traffic() as traffic:
        await traffic.more(100)
        await freeze([scene.stack.supervisor])
        try:
            start = await end(scene.stack.postgres)
            during = await _answers_during(traffic.book, start, least=200)
        finally:
            thaw([scene.stack.supervisor])
        await traffic.more(100)
    assert {answer.status for answer in during} == {ACCEPTED}
    await scene.check(traffic.book)


@pytest.mark.timeout(90)
async def test_a_database_that_hangs_holds_nobody_up(scene: Scene) -> None:
    async with scene.traffic() as traffic:
        await traffic.more(100)
        first = scene.stack.postgres
        processes = [first, *first.children(recursive=True)]
        start = await freeze(processes)
        try:
            during = await _answers_during(traffic.book, start, least=200)
        finally:
            thaw(processes)
        await traffic.more(100)
    assert {answer.status for answer in during} == {ACCEPTED}
    await scene.check(traffic.book)


@pytest.mark.timeout(90)
async def test_a_rolling_restart_loses_nothing_and_shows_no_error(scene: Scene) -> None:
    async with scene.traffic() as traffic:
        await traffic.more(100)
        for program in ("worker", "gateway", "worker", "gateway"):
            old = getattr(scene.stack, program)
            await end(old, signal.SIGTERM)
            await scene.stack.replaced([old])
            await traffic.more(60)
    assert traffic.book.statuses() <= {ACCEPTED, NO_ANSWER}, "No 5xx."
    await scene.check(traffic.book)


@pytest.mark.timeout(60)
async def test_a_worker_that_is_told_to_stop_finishes_what_it_began(scene: Scene) -> None:
    async with scene.traffic() as traffic:
        for _ in range(3):
            await traffic.more(60)
            old = scene.stack.worker
            await end(old, signal.SIGTERM)
            await scene.stack.replaced([old])
    assert traffic.book.statuses() == {ACCEPTED}, "Senders notice nothing."
    verdict = await scene.check(traffic.book)
    assert verdict.repeats == 0, "What was delivered was also recorded before it left."


@pytest.mark.timeout(90)
async def test_the_supervisor_is_killed(scene: Scene) -> None:
    stack = scene.stack
    async with scene.traffic(retrying=True) as traffic:
        await traffic.more(100)
        old = stack.lose_supervisor()
        await until(lambda: _nobody(stack.url), "an end of the old gateway")
        await stack.start()
        await traffic.more(200)
    left = [process for process in old if process.is_running()]
    assert left == [], "Nothing of the old stack is left over."
    await scene.check(traffic.book)


async def _answers_during(book: Book, start: float, *, least: int = 20) -> list[Answer]:
    """Return what was answered in an outage: to requests sent in it, before it ended."""
    await asyncio.sleep(OUTAGE_S)
    await until(
        lambda: len(book.between(start, monotonic())) >= least,
        lambda: f"{least} answers in the outage, not {len(book.between(start, monotonic()))}",
    )
    return book.between(start, monotonic())


def _delivers(worker: psutil.Process, scene: Scene) -> bool:
    """Tell whether a worker has begun to deliver: it has a connection to the endpoint."""
    port = urlsplit(scene.receiver.url).port
    return any(getattr(it.raddr, "port", None) == port for it in worker.net_connections("tcp"))


async def _serves(scene: Scene) -> bool:
    """Tell whether the database answers: a server that is there may still be recovering."""
    try:
        await asyncio.to_thread(EmbeddedPostgres(scene.stack.folder).execute, "SELECT 1")
    except ProcessFailed:
        return False
    return True


async def _nobody(url: str) -> bool:
    return not await answers(url)
