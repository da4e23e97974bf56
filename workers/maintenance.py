"""The role `maintenance`: partitions, retention, replays, and settings on their way to gateways.

Any number of workers may have it: each duty takes its own lock, or its own rows.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from crossdock.bus import Bus
from crossdock.db import Database, partitions, retention
from crossdock.delivery.replays.service import ReplayRunner
from crossdock.outbox.service import drain_forever
from workers.errors import patiently

EVERY_S: Final = 3600.0

log = structlog.get_logger(__name__)


async def run(database: Database, bus: Bus, *, retention_days: int) -> None:
    """Do all of it until cancelled."""
    async with asyncio.TaskGroup() as duties:
        duties.create_task(drain_forever(database, bus))
        duties.create_task(ReplayRunner(database).run())
        duties.create_task(_keep_partitions(database, retention_days))


async def _keep_partitions(database: Database, retention_days: int) -> None:
    while True:
        await patiently("partitions", lambda: _once(database, retention_days))
        await asyncio.sleep(EVERY_S)


async def _once(database: Database, retention_days: int) -> None:
    async with database.session("maintenance") as connection:
        await partitions.ensure_ahead(connection)
        await retention.drop_before(connection, datetime.now(UTC) - timedelta(days=retention_days))
