"""Compare three kinds of watch: how late does each know of an acknowledged write, at worst?

    python -m bench.settings.watches

A writer puts a number every 20 ms over a connection of its own. The three watch on theirs, all at
once: the client's own `watchall`; a `watchall` begun anew when a key that is written four times a
second is not heard for half a second; and `crossdock.bus.kv.Watch`, an ephemeral consumer with an
idle heartbeat. Then something happens to the broker.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

import structlog

from crossdock.bus.connection import Bus, connect
from crossdock.bus.kv import Bucket, Entry, Watch
from crossdock.embedded import EmbeddedNats
from crossdock.errors import BrokerUnavailable

NAME: Final = "COMPARED"
WRITE_S: Final = 0.02
BEAT_S: Final = 0.25
SILENT_S: Final = 0.5
WATCHED_S: Final = 22.0
"""Beyond the fifteen seconds or so after which `watchall` hears again."""


class Watcher:
    """The newest number that one kind of watch has seen."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.seen = -1
        self.worst_s = 0.0

    def note(self, key: str, value: bytes | None) -> None:
        """Take in one entry."""
        if key == "number" and value:
            self.seen = max(self.seen, int(value))

    async def run(self) -> NoReturn:
        """Watch for ever."""
        raise NotImplementedError


class WatchAll(Watcher):
    """The client's own."""

    async def run(self) -> NoReturn:
        """See `Watcher`."""
        keys = await self.bus.jetstream(5).key_value(NAME)
        watch = await keys.watchall()
        while True:
            with suppress(TimeoutError):
                entry = await watch.updates(60)  # type: ignore[no-untyped-call]
                if entry:
                    self.note(entry.key, entry.value)


class WatchAllWithBeat(Watcher):
    """The client's own, begun anew after half a second of silence."""

    async def run(self) -> NoReturn:
        """See `Watcher`."""
        while True:
            try:
                keys = await self.bus.jetstream(SILENT_S).key_value(NAME)
                watch = await keys.watchall()
                while True:
                    entry = await watch.updates(SILENT_S)  # type: ignore[no-untyped-call]
                    if entry:
                        self.note(entry.key, entry.value)
            except Exception:  # noqa: BLE001 - whatever it is, watch again
                await asyncio.sleep(0.05)


class Ours(Watcher):
    """The product's."""

    async def run(self) -> NoReturn:
        """See `Watcher`."""

        def on_entry(entry: Entry) -> None:
            self.note(entry.key, entry.value)

        await Watch(Bucket(self.bus, NAME), on_entry).run()


KINDS: Final = (WatchAll, WatchAllWithBeat, Ours)
Fault = Callable[[EmbeddedNats, Bucket], Awaitable[None]]


async def nothing(_nats: EmbeddedNats, _bucket: Bucket) -> None:
    """Leave everything as it is."""


async def kill(nats: EmbeddedNats, _bucket: Bucket) -> None:
    """SIGKILL, and start again at once."""
    await asyncio.to_thread(nats.kill)
    await asyncio.to_thread(nats.start)


async def kill_for_a_second(nats: EmbeddedNats, _bucket: Bucket) -> None:
    """SIGKILL, and start again after a second."""
    await asyncio.to_thread(nats.kill)
    await asyncio.sleep(1)
    await asyncio.to_thread(nats.start)


async def freeze(nats: EmbeddedNats, _bucket: Bucket) -> None:
    """SIGSTOP for three seconds."""
    nats.pause()
    await asyncio.sleep(3)
    nats.resume()


async def forget_consumers(_nats: EmbeddedNats, bucket: Bucket) -> None:
    """Delete all consumers on the server; no client is told."""
    for consumer in await bucket.js.consumers_info(bucket.stream):
        await bucket.js.delete_consumer(bucket.stream, consumer.name)


class Writer:
    """Puts numbers and beats, and remembers when each number was acknowledged."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._acknowledged: list[float] = []

    async def write(self) -> NoReturn:
        """Put one number after the other."""
        while True:
            with suppress(BrokerUnavailable):
                await self._bucket.put("number", b"%d" % len(self._acknowledged))
                self._acknowledged.append(time.monotonic())
            await asyncio.sleep(WRITE_S)

    async def beat(self) -> NoReturn:
        """Put a beat four times a second."""
        while True:
            with suppress(BrokerUnavailable):
                await self._bucket.put("beat", b"x")
            await asyncio.sleep(BEAT_S)

    async def measure(self, watchers: Sequence[Watcher]) -> NoReturn:
        """Note how late each watcher is."""
        while True:
            now = time.monotonic()
            for watcher in watchers:
                missing = self._acknowledged[watcher.seen + 1 : watcher.seen + 2]
                watcher.worst_s = max(watcher.worst_s, *(now - moment for moment in missing), 0.0)
            await asyncio.sleep(0.002)


async def compare(nats: EmbeddedNats, fault: Fault) -> dict[str, float]:
    """Return each kind's worst delay in one fault, in seconds."""
    bus = await connect(nats.settings())
    bucket = Bucket(bus, NAME)
    await bucket.ensure()
    writer = Writer(bucket)
    watchers = [kind(await connect(nats.settings())) for kind in KINDS]
    tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
    tasks += [asyncio.create_task(writer.write()), asyncio.create_task(writer.beat())]
    await asyncio.sleep(1)
    tasks.append(asyncio.create_task(writer.measure(watchers)))
    await fault(nats, bucket)
    await asyncio.sleep(5 if fault is nothing else WATCHED_S)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for one in (bus, *(watcher.bus for watcher in watchers)):
        await one.close()
    return {type(watcher).__name__: watcher.worst_s for watcher in watchers}


async def main() -> None:
    """Print a line for each fault."""
    print(f"{'worst delay, ms':20}" + "".join(f"{kind.__name__:>18}" for kind in KINDS))
    for fault in (nothing, kill, kill_for_a_second, freeze, forget_consumers):
        with (
            tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder,
            EmbeddedNats(Path(folder)) as nats,
        ):
            worst = await compare(nats, fault)
        print(f"{fault.__name__:20}" + "".join(f"{s * 1e3:18.0f}" for s in worst.values()))


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    asyncio.run(main())
