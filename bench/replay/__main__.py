"""Measure a replay of what a destination missed: how fast, and in how much memory.

    python -m bench.replay [--count N]

All events lie in the database, payloads as providers send them, and the destination
has a filter that looks into each. One process makes their deliveries and delivers them to a local
sink, as a worker does. Flat is what grows by less than a tenth between the first tenth and the end;
and a tenth of the events, in a process of its own, shows what a process takes anyway.
"""

import argparse
import asyncio
import base64
import os
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

import asyncpg
import msgspec
import uvloop

from bench.replay import world
from bench.replay.world import Figure, Task
from crossdock.db.migrate import migrate
from crossdock.embedded import EmbeddedPostgres
from crossdock.secrets.seal import Sealer


async def _measure(server: EmbeddedPostgres, port: int, count: int) -> Figure:
    """Run a replay of so many events in a database, and a process, of its own."""
    name, key = f"bench_{count}", base64.b64encode(os.urandom(32)).decode()
    server.ensure_database(name)
    settings = server.settings(name)
    await migrate(server.admin_url(name), settings)
    admin = await asyncpg.connect(server.admin_url(name))
    tenant, destination = await world.miss(admin, Sealer.from_text(key, setting="key"), port, count)
    await admin.close()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.replay.ours"), stdin=PIPE, stdout=PIPE
    )
    task = Task(settings, key, tenant, destination, count)
    out, _ = await process.communicate(msgspec.json.encode(task))
    assert process.returncode == 0, "the replay failed"
    return msgspec.json.decode(out.splitlines()[-1], type=Figure)  # logs come before it


async def _run(count: int) -> None:
    sink = await asyncio.create_subprocess_exec(*(sys.executable, "-m", "bench.sink"), stdout=PIPE)
    try:
        assert sink.stdout is not None
        port = int(await sink.stdout.readline())
        with (
            tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder,
            EmbeddedPostgres(Path(folder)) as server,
        ):
            figures = {each: await _measure(server, port, each) for each in (count // 10, count)}
    finally:
        sink.kill()
        await sink.wait()
    _report(figures, count)


def _report(figures: dict[int, Figure], count: int) -> None:
    print("\n    events  events/s  cpu µs each  MiB: open  at a tenth   end  peak  most waiting")
    for each, one in figures.items():
        sizes = (one.rss_open, one.rss_tenth, one.rss_end, one.rss_peak)
        opened, tenth, end, peak = (size / 2**20 for size in sizes)
        print(
            f"{each:10,} {each / one.wall_s:9,.0f} {one.cpu_s / each * 1e6:12.0f} {opened:10.0f}"
            f" {tenth:11.0f} {end:5.0f} {peak:5.0f} {one.most_pending:13,}"
        )
    small, large = figures[count // 10], figures[count]
    result = {
        "events_per_second": round(count / large.wall_s),
        "peak_mib": round(large.rss_peak / 2**20),
        "growth_after_a_tenth": round(large.rss_peak / large.rss_tenth, 3),
        "peak_ratio_ten_times_the_events": round(large.rss_peak / small.rss_peak, 3),
    }
    print()
    print(msgspec.json.encode(result).decode())


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.replay", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    uvloop.run(_run(given.count))


if __name__ == "__main__":
    main()
