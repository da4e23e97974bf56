"""Measure the settings' way: from a commit to a gateway's memory, and what many sources cost.

    python -m bench.settings [--changes N] [--sources N]

One process holds the drainer and the gateway's directory; PostgreSQL and NATS are real and sync
every write. `python -m bench.settings.watches` compares three kinds of watch under faults.
"""

import argparse
import asyncio
import gc
import logging
import shutil
import time
from hashlib import sha256

import msgspec
import psutil
import structlog

from bench.settings.world import World, running, until

SIZE = (
    "UPDATE crossdock.sources SET max_body_bytes = $2, version = version + 1 WHERE token_hash = $1"
)


async def latency(world: World, changes: int) -> dict[str, float]:
    """Commit changes of one source one by one; return how long the gateway took to know, in ms."""
    directory = world.directory()
    (token,) = await world.add_sources(1)
    digest = sha256(token.encode()).digest()
    await world.republish()
    await until(lambda: directory.get(token) is not None)
    took = []
    for size in range(1000, 1000 + changes):
        async with world.admin.transaction():
            await world.admin.execute(SIZE, digest, size)
            await world.republish()
        committed = time.perf_counter()

        def known(size: int = size) -> bool:
            found = directory.get(token)
            return found is not None and found.settings.max_body_bytes == size

        await until(known)
        took.append((time.perf_counter() - committed) * 1e3)
    took.sort()
    return {"p50_ms": took[len(took) // 2], "p99_ms": took[len(took) * 99 // 100]}


async def scale(world: World, sources: int) -> dict[str, float]:
    """Publish, load and lose many sources; return seconds, bytes and microseconds."""
    figures: dict[str, float] = {}
    tokens = await world.add_sources(sources)
    first = world.directory()
    await until(lambda: first.ready)
    began = time.perf_counter()
    await world.republish()
    await until(lambda: first.get(tokens[-1]) is not None and first.count >= sources)
    figures["all_known_s"] = time.perf_counter() - began
    await world.publish_all()
    figures["all_published_s"] = time.perf_counter() - began
    figures |= await cold(world, tokens, "kv_load")
    await asyncio.to_thread(world.nats.kill)
    shutil.rmtree(world.nats.folder / "jetstream")
    figures |= await cold(world, tokens, "postgres_load")
    began = time.perf_counter()
    await asyncio.to_thread(world.nats.start)
    follower = first._followers[0]  # noqa: SLF001
    await until(lambda: not follower.falls_back and follower._watch.revision > sources)  # noqa: SLF001
    figures["lost_bucket_refilled_s"] = time.perf_counter() - began
    return figures


async def cold(world: World, tokens: list[str], name: str) -> dict[str, float]:
    """Start a directory that knows nothing, then use each of its sources."""
    process = psutil.Process()
    gc.collect()
    memory, cpu, began = process.memory_info().rss, time.process_time(), time.perf_counter()
    directory = world.directory()
    await directory.wait_ready()
    figures = {
        f"{name}_s": time.perf_counter() - began,
        f"{name}_cpu_s": time.process_time() - cpu,
        f"{name}_bytes_each": (process.memory_info().rss - memory) / len(tokens),
    }
    memory, began = process.memory_info().rss, time.perf_counter()
    for token in tokens:
        _ = directory.get(token).native  # type: ignore[union-attr]
    figures[f"{name}_first_use_us"] = (time.perf_counter() - began) / len(tokens) * 1e6
    figures[f"{name}_used_bytes_each"] = (process.memory_info().rss - memory) / len(tokens)
    began = time.perf_counter()
    for token in tokens:
        _ = directory.get(token).native  # type: ignore[union-attr]
    figures[f"{name}_use_us"] = (time.perf_counter() - began) / len(tokens) * 1e6
    return figures


async def main(changes: int, sources: int) -> None:
    """Measure both and print one JSON object."""
    async with running() as world:
        world.drain()
        figures = await latency(world, changes)
        figures |= await scale(world, sources)
    rounded = {name: round(value, 3) for name, value in figures.items()}
    print(msgspec.json.format(msgspec.json.encode(rounded)).decode())


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--sources", type=int, default=10_000)
    options = parser.parse_args()
    asyncio.run(main(options.changes, options.sources))
