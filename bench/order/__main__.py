"""Measure delivery in order by key against delivery in none, and one line against a bare loop.

    python -m bench.order [--rounds N] [--count N]

By turns, each in a process of its own, to the same local sink: a backlog without order; the same in
ten thousand keys, all of which have yet to join; and the head of one line a hundred thousand deep,
against a bare loop of the same client that has one call in flight. A stall would show as the
longest time in which nothing was written.
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
from typing import Any, Final, get_args

import asyncpg
import msgspec
import uvloop

from bench.delivery import world as delivery
from bench.delivery.world import Task
from bench.order import world
from bench.order.ours import Figure, Job
from bench.order.world import Case
from crossdock.db.migrate import migrate
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.secrets.seal import Sealer

CONCURRENCY: Final = 128
"""The worker's default."""
CASES: Final[tuple[Case, ...]] = get_args(Case)


async def _measure(module: str, told: msgspec.Struct, answer: type[Any]) -> Any:
    """Run something in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=PIPE, stdout=PIPE
    )
    out, _ = await process.communicate(msgspec.json.encode(told))
    assert process.returncode == 0, f"{module} failed"
    return msgspec.json.decode(out.splitlines()[-1], type=answer)


async def _run(rounds: int, count: int) -> None:
    sink = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.sink", stdout=PIPE)
    try:
        assert sink.stdout is not None
        port = int(await sink.stdout.readline())
        with (
            tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder,
            EmbeddedPostgres(Path(folder)) as postgres,
            EmbeddedNats(Path(folder)) as nats,
        ):
            figures, bare = await _rounds(postgres, nats, port, rounds, count)
    finally:
        sink.kill()
        await sink.wait()
    _report(figures, bare, rounds, count)


async def _rounds(
    postgres: EmbeddedPostgres, nats: EmbeddedNats, port: int, rounds: int, count: int
) -> tuple[dict[Case, list[Figure]], list[float]]:
    """Return what each case took, and a bare loop's deliveries a second."""
    figures: dict[Case, list[Figure]] = {case: [] for case in CASES}
    bare: list[float] = []
    key = base64.b64encode(os.urandom(32)).decode()
    postgres.ensure_database("bench")
    settings = postgres.settings("bench")
    await migrate(postgres.admin_url("bench"), settings)
    admin = await asyncpg.connect(postgres.admin_url("bench"))
    pairs = await delivery.populate(admin, Sealer.from_text(key, setting="key"), port)
    for number in range(rounds + 1):
        for case in CASES:
            shape = world.shape(case, count)
            await world.fill(admin, pairs, shape)
            job = Job(shape.measured, CONCURRENCY, settings, nats.settings(), key)
            figure = await _measure("bench.order.ours", job, Figure)
            if number:  # the first is for warming up
                figures[case].append(figure)
        one = Task(port, world.shape("line", count).measured, 1)
        alone = await _measure("bench.delivery.bare", one, delivery.Figure)
        if number:
            bare.append(one.count / alone.wall_s)
    await admin.close()
    return figures, bare


def _report(figures: dict[Case, list[Figure]], bare: list[float], rounds: int, count: int) -> None:
    print(f"\n{count:,} deliveries of {delivery.BODY_BYTES} bytes, {CONCURRENCY} in flight;")
    print(f"{world.KEYS:,} keys; one line of {world.DEEP:,}; medians of {rounds} rounds\n")
    print("             deliveries/s   cpu µs each   longest gap ms")
    rate = {}
    for case, found in figures.items():
        measured = world.shape(case, count).measured
        rate[case] = measured / statistics.median(figure.wall_s for figure in found)
        cpu = statistics.median(figure.cpu_s for figure in found) / measured * 1e6
        gap = max(figure.gap_s for figure in found) * 1e3
        print(f"{case:10} {rate[case]:14,.0f} {cpu:13.0f} {gap:16.0f}")
    alone = statistics.median(bare)
    print(f"{'bare, one':10} {alone:14,.0f}")
    result = {
        "ratio_ordered_unordered": round(rate["keys"] / rate["unordered"], 3),
        "ratio_line_bare": round(rate["line"] / alone, 3),
        "line_per_second": round(rate["line"]),
        "longest_gap_ms": round(max(figure.gap_s for figure in figures["keys"]) * 1e3),
    }
    print()
    print(msgspec.json.encode(result).decode())


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.order", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=20_000)
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    uvloop.run(_run(given.rounds, given.count))


if __name__ == "__main__":
    main()
