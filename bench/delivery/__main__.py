"""Measure deliveries a second of one worker process against a bare loop of the same client.

    python -m bench.delivery [--rounds N] [--count N] [--profile]

Both post the same 1 KiB bodies to the same local sink with the same number of calls in flight, each
in a process of its own, by turns. The bare loop has its bodies in memory and forgets the answers;
the worker claims its deliveries from PostgreSQL, which keeps every commit on disk, signs them, and
records an attempt for each.
"""

import argparse
import asyncio
import base64
import os
import statistics
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
import uvloop

from bench.delivery import world
from bench.delivery.ours import Job
from bench.delivery.world import Figure, Task
from crossdock.config import DatabaseSettings
from crossdock.db.migrate import migrate
from crossdock.embedded import EmbeddedPostgres
from crossdock.secrets.seal import Sealer

CONCURRENCY: Final = 128
"""The worker's default."""


async def _measure(module: str, told: msgspec.Struct) -> Figure:
    """Run one of the two in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"bench.delivery.{module}", stdin=PIPE, stdout=PIPE
    )
    out, _ = await process.communicate(msgspec.json.encode(told))
    assert process.returncode == 0, f"{module} failed"
    return msgspec.json.decode(out, type=Figure)


async def _run(rounds: int, count: int, *, profile: bool) -> None:
    sink = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.sink", stdout=PIPE)
    try:
        assert sink.stdout is not None
        task = Task(int(await sink.stdout.readline()), count, CONCURRENCY)
        with (
            tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder,
            EmbeddedPostgres(Path(folder)) as server,
        ):
            figures = await _rounds(server, task, rounds, profile=profile)
    finally:
        sink.kill()
        await sink.wait()
    _report(figures, rounds, count)


async def _rounds(
    server: EmbeddedPostgres, task: Task, rounds: int, *, profile: bool
) -> dict[str, list[Figure]]:
    figures: dict[str, list[Figure]] = {"bare": [], "ours": []}
    key = base64.b64encode(os.urandom(32)).decode()
    settings = await _database(server)
    admin = await asyncpg.connect(server.admin_url("bench"))
    pairs = await world.populate(admin, Sealer.from_text(key, setting="key"), task.port)
    for number in range(rounds + 1):
        await world.make_due(admin, pairs, task.count)
        bare = await _measure("bare", task)
        ours = await _measure("ours", Job(task, settings, key, profile and number == rounds))
        if number:  # the first is for warming up
            figures["bare"].append(bare)
            figures["ours"].append(ours)
    await admin.close()
    return figures


async def _database(server: EmbeddedPostgres) -> DatabaseSettings:
    server.ensure_database("bench")
    settings = server.settings("bench")
    await migrate(server.admin_url("bench"), settings)
    return settings


def _report(figures: dict[str, list[Figure]], rounds: int, count: int) -> None:
    print(f"\n{count:,} deliveries of {world.BODY_BYTES} bytes, {CONCURRENCY} in flight, over")
    print(f"{world.TENANTS * world.DESTINATIONS} destinations; medians of {rounds} rounds\n")
    print("             deliveries/s   cpu µs each")
    wall = {}
    for name, found in figures.items():
        wall[name] = statistics.median(figure.wall_s for figure in found)
        cpu = statistics.median(figure.cpu_s for figure in found)
        print(f"{name:10} {count / wall[name]:14,.0f} {cpu / count * 1e6:13.0f}")
    ratio = statistics.median(
        bare.wall_s / ours.wall_s
        for bare, ours in zip(figures["bare"], figures["ours"], strict=True)
    )
    result = {
        "ratio_bare_client": round(ratio, 3),
        "deliveries_per_second": round(count / wall["ours"]),
        "bare_per_second": round(count / wall["bare"]),
    }
    print()
    print(msgspec.json.encode(result).decode())


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.delivery", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--profile", action="store_true", help="profile the worker's last round")
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    uvloop.run(_run(given.rounds, given.count, profile=given.profile))


if __name__ == "__main__":
    main()
