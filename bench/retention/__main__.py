"""Measure dropping a partition while ingest goes on.

    python -m bench.retention [--events N] [--unfinished N]

One PostgreSQL server with the settings that `crossdock up` gives it. A day long ago holds
`--events` events of 10,000 tenants, their deliveries and what they are found by; `--unfinished` are
held, and as many have a pending delivery: those must stay. A persister stores batches of today's
webhooks one after the other, as a worker does, first in quiet and then while the product's own pass
of retention runs. Of that pass each statement is timed:

- `wait_ms`: until the exclusive lock of `events` was had; all others queue behind it;
- `locked_ms`: from then until COMMIT was sent, that is the drop itself; while it commits, the
  server lets go of the lock first, and then removes the files;
- `pass_s`: all of it; copying what is kept and counting what goes stop nobody;
- `pause_ms`: the longest batch of ingest during the pass, beside `quiet_ms`, the longest before it.

It fails where waiting for a lock and holding it, or the pause, take a second.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
import uvloop

from bench.persist import world as webhooks
from bench.retention import world
from crossdock import ids
from crossdock.db import Database, retention
from crossdock.db.migrate import migrate
from crossdock.db.partitions import PARENTS, ensure_ahead
from crossdock.embedded import EmbeddedPostgres
from crossdock.inbound.persist import Persister, Stored

TENANTS: Final = 10_000
BODY_BYTES: Final = 1024
SIZE: Final = 200
BUDGET_MS: Final = 1000.0
"""For waiting for a lock and holding it, of whichever table, and for ingest's longest pause."""
QUIET_S: Final = 10.0
OLD: Final = datetime(2026, 1, 5, tzinfo=UTC)
_LOCK: Final = "lock_partitions"


class Statement(msgspec.Struct, frozen=True):
    """One statement of the pass."""

    text: str
    began: float
    ended: float


class Ingest:
    """Persists batch after batch, and remembers how long each took."""

    def __init__(self, database: Database, tenants: list[webhooks.Tenant]) -> None:
        self._persister = Persister(database, lease_s=60.0)
        self._tenants = tenants
        self.batches: list[tuple[float, float]] = []

    async def run(self) -> None:
        """Work until cancelled."""
        seq = 0
        while True:
            seq += SIZE
            batch = webhooks.batch(self._tenants, SIZE, webhooks.Shape(BODY_BYTES), seq)
            began = time.perf_counter()
            done = await self._persister.persist(batch)
            self.batches.append((began, time.perf_counter()))
            assert all(isinstance(outcome, Stored) for outcome in done.outcomes)

    def longest_ms(self, began: float, ended: float) -> float:
        """Return how long the longest batch took that touched a span."""
        return max((b - a) * 1e3 for a, b in self.batches if b >= began and a <= ended)


async def _pass(connection: asyncpg.Connection) -> list[Statement]:
    """Do one pass of retention; return its statements."""
    found: list[Statement] = []

    def note(record: Any) -> None:
        ended = time.perf_counter()
        found.append(Statement(record.query, ended - record.elapsed, ended))

    with connection.query_logger(note):
        await retention.drop_before(connection, OLD + 3 * world.DAY)
    return found


def _locks(statements: list[Statement]) -> dict[str, tuple[float, float]]:
    """Return, of each table, how long the lock was waited for and held, in milliseconds."""
    locks = [at for at, one in enumerate(statements) if _LOCK in one.text]
    found: dict[str, tuple[float, float]] = {}
    for at in locks:
        commit = next(one for one in statements[at:] if one.text.startswith("COMMIT"))
        drop = next(one.text for one in statements[at:] if "DELETE FROM crossdock." in one.text)
        parent = next(name for name in sorted(PARENTS, key=len) if f"crossdock.{name}_2" in drop)
        lock = statements[at]
        held = (commit.began - lock.ended) * 1e3
        if held > found.get(parent, (0.0, 0.0))[1]:
            found[parent] = ((lock.ended - lock.began) * 1e3, held)
    return found


async def _run(events: int, unfinished: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder,
        EmbeddedPostgres(Path(folder)) as server,
    ):
        server.ensure_database("retention")
        settings = server.settings("retention", pool_size=2)
        await migrate(server.admin_url("retention"), settings)
        admin = await asyncpg.connect(server.admin_url("retention"))
        tenants = await webhooks.populate(admin, TENANTS)
        database = await Database.open(settings, ["ingest", "maintenance"])
        async with database.session("maintenance") as connection:
            await ensure_ahead(connection, now=OLD, ahead=world.DAY)
        began = time.perf_counter()
        filled = await world.fill(
            admin, OLD, tenants, events=events, unfinished=unfinished, body_bytes=BODY_BYTES
        )
        print(f"filled {filled.events:,} events in {time.perf_counter() - began:.0f} s")
        ingest = Ingest(database, tenants)
        running = asyncio.create_task(ingest.run())
        await asyncio.sleep(QUIET_S)  # until routes are known and the cache is warm
        quiet_from = time.perf_counter()
        await asyncio.sleep(QUIET_S)
        async with database.session("maintenance") as connection:
            began = time.perf_counter()
            statements = await _pass(connection)
            ended = time.perf_counter()
        running.cancel()
        await asyncio.wait([running])
        left = await admin.fetchval(
            "SELECT count(*) FROM crossdock.events WHERE status = 'held' OR id < $1",
            ids.floor(OLD + world.DAY),
        )
        assert left == 2 * unfinished, left
        told = await admin.fetchval("SELECT sum(events) FROM crossdock.retention_drops")
        assert told == events - 2 * unfinished, told
        await admin.close()
        await database.close()
    _report(ingest, statements, filled, (quiet_from, began, ended))


def _report(
    ingest: Ingest,
    statements: list[Statement],
    filled: world.Filled,
    moments: tuple[float, float, float],
) -> None:
    quiet_from, began, ended = moments
    locks = _locks(statements)
    quiet = [(b - a) * 1e3 for a, b in ingest.batches if a >= quiet_from and b <= began]
    during = [(b - a) * 1e3 for a, b in ingest.batches if b >= began and a <= ended]
    print(f"\na partition of {filled.table_bytes / 2**20:,.0f} MiB, batches of {SIZE} meanwhile\n")
    print("table            wait ms   locked ms")
    for parent, (wait, held) in locks.items():
        print(f"{parent:14} {wait:9.1f} {held:11.1f}")
    first = min(one.began for one in statements)
    pause = ingest.longest_ms(began, ended)
    longest = max(wait + held for wait, held in locks.values())
    print()
    for name, took in (("any lock, ms", longest), ("pause_ms", pause)):
        print(f"  {name:14} {took:8.1f}   budget {BUDGET_MS:,.0f}   {_judged(took)}")
    print()
    print(
        msgspec.json.encode(
            {
                "events": filled.events,
                "locked_ms": round(locks["events"][1], 1),
                "wait_ms": round(locks["events"][0], 1),
                "pass_s": round(ended - first, 2),
                "pause_ms": round(pause, 1),
                "quiet_ms": round(max(quiet), 1),
                "batch_ms": round(statistics.median(during), 1),
                "quiet_batch_ms": round(statistics.median(quiet), 1),
            }
        ).decode()
    )
    if max(longest, pause) >= BUDGET_MS:
        sys.exit("over budget")


def _judged(took_ms: float) -> str:
    return "ok" if took_ms < BUDGET_MS else "missed"


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.retention", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--unfinished", type=int, default=1_000)
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    uvloop.run(_run(given.events, given.unfinished))


if __name__ == "__main__":
    main()
