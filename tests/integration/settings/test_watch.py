"""The bucket and its watch alone: nothing is missed, nothing comes twice, silence is noticed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Final, Self

import pytest

from crossdock.bus.connection import Bus, connect
from crossdock.bus.kv import Bucket, Entry, Watch, WrongRevisionError, positions
from crossdock.embedded import EmbeddedNats
from crossdock.errors import BrokerUnavailable

WITHIN_S: Final = 5.0
_names = count(1)


@pytest.fixture
async def bus(own_nats: EmbeddedNats) -> AsyncIterator[Bus]:
    connected = await connect(own_nats.settings())
    yield connected
    await connected.close()


@pytest.fixture
async def bucket(bus: Bus) -> Bucket:
    made = Bucket(bus, f"TEST{next(_names)}")
    await made.ensure()
    await made.ensure()
    return made


class Watcher:
    """A running watch, and what it was given."""

    def __init__(self, bucket: Bucket, on_reload: Callable[[], None] | None = None) -> None:
        self.entries: list[Entry] = []
        self.watch = Watch(bucket, self.entries.append, on_reload=on_reload)

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.watch.run())
        await self.until(lambda: self.watch.alive and self.watch.loaded)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                await asyncio.sleep(0.002)

    @property
    def seen(self) -> list[tuple[str, bytes]]:
        """Keys and values, in order."""
        return [(entry.key, entry.value) for entry in self.entries]


async def deafen(bucket: Bucket) -> None:
    """Delete every watch's consumer on the server; no client is told."""
    for consumer in await bucket.js.consumers_info(bucket.stream):
        await bucket.js.delete_consumer(bucket.stream, consumer.name)


async def test_values_are_read_back_with_their_revisions(bucket: Bucket) -> None:
    assert await bucket.get("a") is None
    first = await bucket.put("a", b"1")
    second = await bucket.put("a", b"2")
    assert await bucket.get("a") == Entry("a", b"2", second)
    assert second > first
    assert (await bucket.state()).last_revision == second


async def test_a_put_after_another_revision_is_refused(bucket: Bucket) -> None:
    first = await bucket.put("a", b"1", after=0)
    with pytest.raises(WrongRevisionError):
        await bucket.put("a", b"x", after=0)
    second = await bucket.put("a", b"2", after=first)
    with pytest.raises(WrongRevisionError):
        await bucket.put("a", b"x", after=first)
    assert await bucket.get("a") == Entry("a", b"2", second)


async def test_a_watch_brings_what_is_there_then_what_comes(bucket: Bucket) -> None:
    for value in (b"1", b"2"):
        await bucket.put("a", value)
    await bucket.put("b", b"3")
    async with Watcher(bucket) as watcher:
        assert watcher.seen == [("a", b"2"), ("b", b"3")]
        await bucket.put("a", b"4")
        await watcher.until(lambda: watcher.seen[-1] == ("a", b"4"))


async def test_a_watch_of_an_empty_bucket_is_loaded(bucket: Bucket) -> None:
    async with Watcher(bucket) as watcher:
        assert watcher.seen == []


async def test_thousands_of_entries_come_in_order(bucket: Bucket) -> None:
    for number in range(3000):
        await bucket.client.publish(f"{bucket.prefix}k{number}", b"x" * 300)
    async with asyncio.timeout(30):
        while (await bucket.state()).last_revision < 3000:
            await asyncio.sleep(0.02)
    async with Watcher(bucket) as watcher:
        revisions = [entry.revision for entry in watcher.entries]
        assert len(revisions) == 3000
        assert revisions == sorted(revisions)
        assert watcher.watch.sessions == 1


async def test_a_deaf_watch_resumes_after_its_last_revision(bucket: Bucket) -> None:
    await bucket.put("k1", b"1")
    async with Watcher(bucket) as watcher:
        for number in range(2, 5):
            await deafen(bucket)
            await bucket.put(f"k{number}", b"%d" % number)
            await watcher.until(lambda number=number: watcher.watch.sessions == number)  # type: ignore[misc]
            await watcher.until(lambda number=number: watcher.seen[-1][1] == b"%d" % number)  # type: ignore[misc]
        assert watcher.seen == [(f"k{number}", b"%d" % number) for number in range(1, 5)]


async def test_silence_is_noticed_soon(bucket: Bucket) -> None:
    async with Watcher(bucket) as watcher:
        await asyncio.sleep(0.5)
        assert watcher.watch.sessions == 1, "heartbeats keep a quiet watch alive"
        began = asyncio.get_running_loop().time()
        await deafen(bucket)
        await watcher.until(lambda: watcher.watch.sessions == 2)
        assert asyncio.get_running_loop().time() - began < 1.0


@pytest.mark.parametrize("followed", [False, True])
async def test_a_message_that_was_lost_on_the_way_is_fetched_again(
    bucket: Bucket, *, followed: bool
) -> None:
    """The next message shows the gap, or else the next heartbeat."""
    async with Watcher(bucket) as watcher:
        real = watcher.watch._on_message
        await bucket.put("a", b"1")
        await watcher.until(lambda: len(watcher.entries) == 1)
        lose = [True]

        async def lossy(message: object) -> None:
            if lose and message.data == b"2":  # type: ignore[attr-defined]
                lose.clear()
                return
            await real(message)  # type: ignore[arg-type]

        subscription = next(sub for sub in bucket.client._subs.values() if sub._cb == real)
        subscription._cb = lossy
        await bucket.put("b", b"2")
        if followed:
            await bucket.put("c", b"3")
        expected = [("a", b"1"), ("b", b"2"), ("c", b"3")][: 3 if followed else 2]
        await watcher.until(lambda: watcher.seen == expected)
        assert not lose
        assert watcher.watch.sessions == 2


async def test_another_bucket_of_the_same_name_is_read_from_its_start(bucket: Bucket) -> None:
    for number in range(5):
        await bucket.put("a", b"%d" % number)
    async with Watcher(bucket) as watcher:
        await bucket.js.delete_stream(bucket.stream)
        await bucket.ensure()
        await bucket.put("b", b"new")
        await watcher.until(lambda: watcher.seen[-1] == ("b", b"new"))


async def test_a_watch_that_reloads_reads_all_at_each_session(bucket: Bucket) -> None:
    await bucket.put("a", b"1")
    await bucket.put("b", b"2")
    reloads: list[None] = []
    async with Watcher(bucket, on_reload=lambda: reloads.append(None)) as watcher:
        await deafen(bucket)
        await watcher.until(lambda: watcher.watch.sessions == 2 and len(watcher.entries) == 4)
        assert len(reloads) == 2


async def test_deletions_are_not_handed_over(bucket: Bucket, bus: Bus) -> None:
    await bucket.put("a", b"1")
    async with Watcher(bucket) as watcher:
        keys = await bus.jetstream().key_value(bucket.stream.removeprefix("KV_"))
        await keys.delete("a")
        await bucket.put("b", b"2")
        await watcher.until(lambda: len(watcher.entries) == 2)
        assert watcher.seen == [("a", b"1"), ("b", b"2")]
    assert await bucket.get("a") is None


async def test_a_bucket_that_is_not_there_is_unavailable_and_waited_for(bus: Bus) -> None:
    absent = Bucket(bus, f"TEST{next(_names)}")
    for attempt in (absent.state(), absent.get("a"), absent.put("a", b"1")):
        with pytest.raises(BrokerUnavailable):
            await attempt
    watcher = Watcher(absent)
    made = asyncio.create_task(absent.ensure())
    async with watcher:
        await made
        await absent.put("a", b"1")
        await watcher.until(lambda: watcher.seen == [("a", b"1")])


def test_positions_of_both_forms_of_a_reply() -> None:
    assert positions("$JS.ACK.KV_S.watch.1.42.7.1700000000.3") == (42, 7, 3)
    assert positions("$JS.ACK.hub.ACC.KV_S.watch.1.42.7.1700000000.3") == (42, 7, 3)
    assert positions("$JS.ACK.hub.ACC.KV_S.watch.1.42.7.1700000000.3.token") == (42, 7, 3)
