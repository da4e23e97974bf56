"""Group commit: what leaves together, and what happens when the broker says no or nothing."""

import asyncio
from collections.abc import Callable

import pytest

from crossdock.bus.grouping import (
    DISABLED,
    MAX_BYTES,
    MAX_FLIGHTS,
    MAX_MESSAGES,
    PATIENCE,
    SMALLEST_BATCH,
    Grouped,
)
from crossdock.bus.pending import Pending
from crossdock.errors import BrokerUnavailable
from crossdock.native import Message

TIMEOUT_S = 5.0
COMMIT = b"Nats-Batch-Commit: 1\r\n"


class Bench:
    """A pipeline, what it wrote, and who waits."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.pending = Pending(TIMEOUT_S)
        self.pipeline = Grouped(self.pending, b"_INBOX.x.", self.written.append, TIMEOUT_S)
        self.queue: list[Message] = []
        self.now = 0.0

    def add(self, count: int, size: int = 10) -> list["asyncio.Future[None]"]:
        loop = asyncio.get_running_loop()
        futures = []
        for _ in range(count):
            future: asyncio.Future[None] = loop.create_future()
            self.pending.futures[self.pending.next] = future
            self.pending.next += 1
            self.queue.append(Message("ingest.0", b"x" * size))
            futures.append(future)
        return futures

    def send(self) -> int:
        first = self.pending.next - len(self.queue)
        sent = self.pipeline.send(self.queue, first, self.now)
        del self.queue[:sent]
        return sent

    def is_batch(self, number: int) -> bool:
        return COMMIT in self.written[number]


@pytest.fixture
async def bench() -> Bench:
    return Bench()


def done(futures: list["asyncio.Future[None]"]) -> list[bool]:
    return [future.done() for future in futures]


async def test_few_messages_go_one_by_one(bench: Bench) -> None:
    futures = bench.add(SMALLEST_BATCH - 1)

    assert bench.send() == len(futures)

    assert not bench.is_batch(0)
    assert bench.written[0].count(b"_INBOX.x.") == len(futures)
    bench.pipeline.acknowledged([1])
    assert done(futures) == [True] + [False] * (len(futures) - 1)


async def test_many_share_one_batch_and_one_reply(bench: Bench) -> None:
    futures = bench.add(SMALLEST_BATCH)

    bench.send()

    assert bench.is_batch(0)
    assert bench.written[0].count(b"_INBOX.x.") == 1
    bench.pipeline.acknowledged([SMALLEST_BATCH])
    assert all(done(futures))


async def test_what_comes_while_groups_are_in_flight_waits_for_the_next(bench: Bench) -> None:
    for _ in range(MAX_FLIGHTS):
        bench.add(1)
        assert bench.send() == 1
    bench.add(50)
    assert bench.send() == 0

    bench.pipeline.acknowledged([1])

    assert bench.send() == 50
    assert bench.is_batch(-1)


async def test_a_batch_is_bounded_in_messages_and_bytes(bench: Bench) -> None:
    bench.add(MAX_MESSAGES + 1)
    bench.send()
    assert bench.written[0].count(b"Nats-Batch-Sequence") == MAX_MESSAGES
    assert not bench.is_batch(1)
    bench.pipeline.acknowledged([MAX_MESSAGES, MAX_MESSAGES + 1])

    bench.add(20, size=MAX_BYTES // 15)
    bench.send()
    assert 13 <= bench.written[2].count(b"Nats-Batch-Sequence") <= 15


async def test_one_message_larger_than_a_batch_goes_alone(bench: Bench) -> None:
    bench.add(1, size=MAX_BYTES + 1)

    assert bench.send() == 1


async def test_a_refused_batch_is_sent_again_one_by_one(bench: Bench) -> None:
    futures = bench.add(20)
    bench.send()

    bench.pipeline.refused(20, 10201, "duplicate message id")

    assert not bench.is_batch(-1)
    assert bench.written[-1].count(b"_INBOX.x.") == 20
    assert not any(done(futures))
    bench.pipeline.acknowledged(list(range(1, 20)))
    bench.pipeline.refused(20, 10077, "maximum bytes exceeded")
    assert [future.exception() for future in futures[:19]] == [None] * 19
    assert isinstance(futures[19].exception(), BrokerUnavailable)


async def test_a_batch_without_an_answer_is_sent_again_one_by_one(bench: Bench) -> None:
    futures = bench.add(20)
    bench.send()
    bench.pipeline.tick(TIMEOUT_S * PATIENCE - 0.1)
    assert len(bench.written) == 1

    bench.pipeline.tick(TIMEOUT_S * PATIENCE)

    assert len(bench.written) == 2
    # It was stored after all, and its answer comes late: each one's own answer says so too.
    bench.pipeline.acknowledged([20])
    assert done(futures) == [False] * 19 + [True]
    bench.pipeline.acknowledged(list(range(1, 21)))
    assert all(done(futures))


async def test_a_stream_without_batches_is_left_alone_with_them(bench: Bench) -> None:
    bench.add(20)
    bench.send()

    bench.pipeline.refused(20, DISABLED, "atomic publish is disabled")
    bench.pipeline.acknowledged(list(range(1, 21)))
    bench.add(20)
    bench.send()

    assert not bench.is_batch(-1)


def give_up(bench: Bench) -> None:
    bench.pipeline.tick(TIMEOUT_S + 1)


def forget(bench: Bench) -> None:
    bench.pipeline.lost()


@pytest.mark.parametrize("end", [give_up, forget])
@pytest.mark.parametrize("size", [1, 20])
async def test_room_comes_back_whatever_became_of_a_group(
    bench: Bench, size: int, end: Callable[[Bench], None]
) -> None:
    for _ in range(MAX_FLIGHTS):
        bench.add(size)
        bench.send()
    bench.add(1)
    assert bench.send() == 0

    end(bench)
    if end is give_up:
        end(bench)  # a batch is split first, then given up
        bench.pipeline.tick(2 * TIMEOUT_S + 1)

    assert bench.send() == 1
