"""`crossdock retention`, as an operator at the servers types it."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from crossdock.config import DatabaseSettings, Settings
from crossdock.db import Database
from crossdock.db.partitions import ensure_ahead
from crossdock.inbound.persist import Persister
from crossdock.supervisor.environment import environment
from tests.beds.world import Destination, World, fresh, id_at, tenant

DAY = timedelta(days=1)


def crossdock(settings: Settings, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "crossdock.cli.app", "retention", *words],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(settings: Settings, *words: str) -> Any:
    return msgspec.json.decode(crossdock(settings, *words, "--json"))


async def test_an_operator_looks_lets_go_and_reads_what_went(
    settings: Settings, fresh_database: DatabaseSettings, world: World, database: Database
) -> None:
    own = msgspec.structs.replace(settings, database=fresh_database)
    moment = datetime.now(UTC) - 40 * DAY
    async with database.session("maintenance") as conn:
        await ensure_ahead(conn, now=moment, ahead=timedelta())
    one = tenant(Destination(fresh()))
    await world.add(one)
    batch = [world.webhook(one, event_id=id_at(moment), body=b"x" * 10) for _ in range(5)]
    await Persister(database, lease_s=60).persist(batch)
    await world.admin.execute(
        "UPDATE crossdock.deliveries SET state = 'delivered' WHERE event_id <> $1",
        batch[0].event_id,
    )
    looked = told(own, "run", "--dry-run")
    assert looked["dry_run"] is True
    (shard,) = looked["shards"]
    due = next(due for due in shard["due"] if due["events"])
    assert (due["tenants"], due["events"], due["bytes"], due["kept"]) == (1, 4, 40, 1)
    assert "4 events with 40 bytes; 1 stay" in crossdock(own, "run", "--dry-run")
    assert await world.count("events") == 5
    assert told(own, "report") == {"days": 30, "items": []}
    (done,) = told(own, "run")["shards"]
    assert (done["shard"], done["events"], done["bytes"]) == (0, 4, 40)
    assert await world.count("events") == 1
    (item,) = told(own, "report")["items"]
    assert (item["tenants"], item["events"], item["kept"]) == (1, 4, 1)
    assert "kept for 30 days" in crossdock(own, "report")
    assert "0 partitions dropped" in crossdock(own, "run")
    assert "nothing would go" in crossdock(own, "run", "--dry-run")
