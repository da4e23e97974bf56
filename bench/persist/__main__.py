"""Measure persisting against a bare COPY, and against itself with a large ledger.

    python -m bench.persist [--rounds N] [--keys N] [--profile]

One PostgreSQL server, started for this run, with the settings that `crossdock up` gives it: every
commit is on disk before it returns. Each round does one batch of each kind, one after the other, so
that whatever else the machine does falls on all alike; medians are compared. A batch is one
transaction and one commit for every kind:

- `copy`: COPY of the event rows into a plain table like `events` with its primary key, but without
  its other indexes, partitions and policies;
- `copy_indexed`: the same with all indexes;
- `copy_heap`: the same into a table without any index, in which no event could be found again;
- `persist`: the product's own code, on an empty ledger: keys, events, matching, deliveries;
- `persist_full`: the same, on a ledger that holds `--keys` keys;
- `persist_fields`: as `persist`, of sources that index values: two of each event;
- `persist_sealed`: as `persist`, of sources whose payloads are sealed.
"""

import argparse
import cProfile
import os
import pstats
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
import uvloop

from bench.persist import world
from crossdock.config import DatabaseSettings
from crossdock.db import Database
from crossdock.db.migrate import migrate
from crossdock.embedded import EmbeddedPostgres
from crossdock.inbound.persist import Arrival, Persister, Stored

SIZE: Final = 500
BUDGET: Final = 0.25
"""Of the rate of `copy`, at least."""
TENANTS: Final = 10_000
BODY_BYTES: Final = 1024
PLAIN: Final = world.Shape(BODY_BYTES)
COPIES: Final = ("copy", "copy_indexed", "copy_heap")
KINDS: Final = {
    "persist": PLAIN,
    "persist_full": PLAIN,
    "persist_fields": world.Shape(BODY_BYTES, indexed=True),
    "persist_sealed": world.Shape(BODY_BYTES, sealed=True),
}
WARM_UP: Final = 80
"""Rounds until the routes of nearly all tenants are known: a worker's first minute."""


class Sample(msgspec.Struct, frozen=True):
    """What one batch cost, in milliseconds."""

    wall: float
    client: float
    server: float


class Bench:
    """The kinds of batches, and what they cost."""

    def __init__(self) -> None:
        self.samples: dict[str, list[Sample]] = defaultdict(list)
        self.kinds: dict[str, Callable[[list[Arrival]], Awaitable[None]]] = {}
        self.tenants: dict[str, list[world.Tenant]] = {}
        self._seq = 0

    async def round(self, *, counted: bool) -> None:
        """Do one batch of each kind, in an order of its own."""
        for kind in random.sample(sorted(self.kinds), len(self.kinds)):
            self._seq += SIZE
            shape = KINDS.get(kind, PLAIN)
            arrivals = world.batch(self.tenants[kind], SIZE, shape, self._seq)
            sample = await self._measure(self.kinds[kind], arrivals)
            if counted:
                self.samples[kind].append(sample)

    async def _measure(
        self, work: Callable[[list[Arrival]], Awaitable[None]], arrivals: list[Arrival]
    ) -> Sample:
        server, client, wall = _server_ms(), time.process_time(), time.perf_counter()
        await work(arrivals)
        return Sample(
            (time.perf_counter() - wall) * 1e3,
            (time.process_time() - client) * 1e3,
            _server_ms() - server,
        )

    def median(self, kind: str) -> Sample:
        """Return the middle of each column."""
        found = self.samples[kind]
        return Sample(
            statistics.median(sample.wall for sample in found),
            statistics.median(sample.client for sample in found),
            statistics.median(sample.server for sample in found),
        )


_BACKENDS: list[int] = []


def _server_ms() -> float:
    """Return the processor time of the backends we use; Linux only, elsewhere 0."""
    total = 0
    for pid in _BACKENDS:
        try:
            total += int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])
        except OSError:
            return 0.0
    return total / 1e6


async def _database(server: EmbeddedPostgres, name: str) -> DatabaseSettings:
    server.ensure_database(name)
    settings = server.settings(name, pool_size=1)
    await migrate(server.admin_url(name), settings)
    return settings


async def _copying(settings: DatabaseSettings, admin: asyncpg.Connection, bench: Bench) -> None:
    """Add the plain tables and the batches that are copied into them."""
    await admin.execute(
        "CREATE SCHEMA plain AUTHORIZATION crossdock_ingest;"
        "CREATE TABLE plain.copy_heap (LIKE crossdock.events);"
        "CREATE TABLE plain.copy (LIKE crossdock.events, PRIMARY KEY (tenant_id, id));"
        "CREATE TABLE plain.copy_indexed (LIKE crossdock.events INCLUDING ALL);"
        "ALTER TABLE plain.copy OWNER TO crossdock_ingest;"
        "ALTER TABLE plain.copy_indexed OWNER TO crossdock_ingest;"
        "ALTER TABLE plain.copy_heap OWNER TO crossdock_ingest"
    )
    plain = await asyncpg.connect(
        settings.url, user="crossdock_ingest", password=settings.ingest_password
    )
    _BACKENDS.append(plain.get_server_pid())

    def into(table: str) -> Callable[[list[Arrival]], Awaitable[None]]:
        async def copy(arrivals: list[Arrival]) -> None:
            async with plain.transaction():
                await plain.copy_records_to_table(
                    table,
                    schema_name="plain",
                    columns=world.COLUMNS,
                    records=world.rows(arrivals),
                )

        return copy

    for table in COPIES:
        bench.kinds[table] = into(table)


async def _persisting(settings: DatabaseSettings, kind: str, bench: Bench) -> Persister:
    """Add the batches that are persisted."""
    database = await Database.open(settings, ["ingest"])
    async with database.batch("ingest", ()) as connection:
        _BACKENDS.append(connection.get_server_pid())
    persister = Persister(database, lease_s=60.0)

    async def persist(arrivals: list[Arrival]) -> None:
        done = await persister.persist(arrivals)
        assert len(done.leased) == len(arrivals)
        assert all(isinstance(outcome, Stored) for outcome in done.outcomes)

    bench.kinds[kind] = persist
    return persister


async def _run(rounds: int, keys: int, *, profile: bool) -> None:
    bench = Bench()
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder,
        EmbeddedPostgres(Path(folder)) as server,
    ):
        for kind in KINDS:
            ledger = keys if kind == "persist_full" else 0
            settings = await _database(server, kind)
            admin = await asyncpg.connect(server.admin_url(kind))
            tenants = await world.populate(admin, TENANTS)
            if ledger:
                began = time.perf_counter()
                await world.fill_ledger(admin, tenants, ledger)
                print(f"filled a ledger of {ledger:,} keys in {time.perf_counter() - began:.0f} s")
            elif kind == "persist":
                await _copying(settings, admin, bench)
                bench.tenants |= dict.fromkeys(COPIES, tenants)
            await _persisting(settings, kind, bench)
            bench.tenants[kind] = tenants
            await admin.execute("CHECKPOINT")
            await admin.close()
        for _ in range(WARM_UP):
            await bench.round(counted=False)
        profiler = cProfile.Profile()
        if profile:
            profiler.enable()
        for _ in range(rounds):
            await bench.round(counted=True)
        if profile:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
    _report(bench, rounds, keys)


def _report(bench: Bench, rounds: int, keys: int) -> None:
    print(f"\nbatches of {SIZE} over {SIZE} of {TENANTS:,} tenants, {BODY_BYTES} bytes each;")
    print(f"medians of {rounds} alternating rounds, one commit a batch, synchronous_commit on\n")
    print("kind             wall ms   client cpu ms   server cpu ms   events/s")
    for kind in bench.kinds:
        row = bench.median(kind)
        rate = SIZE / row.wall * 1e3
        print(f"{kind:15} {row.wall:8.2f} {row.client:15.2f} {row.server:15.2f} {rate:10,.0f}")
    wall = {kind: bench.median(kind).wall for kind in bench.kinds}
    ratio = wall["copy"] / wall["persist"]
    verdict = "ok" if ratio >= BUDGET else "missed"
    print(f"\n  ratio_copy {ratio:8.3f}   budget at least {BUDGET}   {verdict}\n")
    print(
        msgspec.json.encode(
            {
                "ratio_copy": round(ratio, 3),
                "ratio_copy_indexed": round(wall["copy_indexed"] / wall["persist"], 3),
                "ratio_copy_heap": round(wall["copy_heap"] / wall["persist"], 3),
                "ratio_ledger": round(wall["persist_full"] / wall["persist"], 3),
                "ratio_fields": round(wall["persist_fields"] / wall["persist"], 3),
                "ratio_sealed": round(wall["persist_sealed"] / wall["persist"], 3),
                "keys": keys,
                "persist_events_per_second": round(SIZE / wall["persist"] * 1e3),
            }
        ).decode()
    )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.persist", description=__doc__)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--profile", action="store_true", help="profile this process (slower)")
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    uvloop.run(_run(given.rounds, given.keys, profile=given.profile))


if __name__ == "__main__":
    main()
