"""The role `maintenance`, for one shard: partitions, retention, replays, alerts, settings, ends.

Any number of workers may have it: each duty takes its own lock, or its own rows.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import structlog

from crossdock.alerts.service import Alarm, resolve_past
from crossdock.alerts.telling import Herald
from crossdock.alerts.watching import Watcher
from crossdock.bus import Bus
from crossdock.config import Settings
from crossdock.db import Database, Databases, partitions, retention
from crossdock.db.control import CONTROL
from crossdock.delivery.inbox.forgetting import forget_messages
from crossdock.delivery.replays.runner import ReplayRunner
from crossdock.delivery.stats.service import forget_stats
from crossdock.idempotency.expiry import forget_expired
from crossdock.identity.forgetting import forget_in_control, forget_on_shard
from crossdock.inbound.bodies import Bodies
from crossdock.mail.letters import Letters
from crossdock.mail.sending import Courier
from crossdock.mail.service import Postbox
from crossdock.outbox.service import drain_forever
from crossdock.retention.forgetting import forget_told
from crossdock.secrets.payloads import SETTING, BatchKeys, TenantKeys
from crossdock.secrets.seal import Sealer
from crossdock.tenancy.erasure import Eraser
from crossdock.tenancy.quotas.telling import Teller
from workers.errors import patiently

EVERY_S: Final = 3600.0
SWEEP_EVERY_S: Final = 300.0

log = structlog.get_logger(__name__)


class Post(msgspec.Struct, frozen=True):
    """Where a duty is done, and with what."""

    settings: Settings
    database: Database
    """The shard's."""
    databases: Databases
    """All shards'."""
    bus: Bus


async def run(post: Post) -> None:
    """Do all of it until cancelled.

    Raises:
        ConfigurationError: a key is missing, or the way out for letters is wrongly set.
    """
    settings, database = post.settings, post.database
    access_ttl_s = settings.identity.access_ttl_s
    courier = Courier.from_settings(database, settings)
    alarm = Alarm(
        Postbox(Sealer.from_text(settings.keys.mail, setting="CROSSDOCK_KEYS__MAIL")),
        Letters(settings.gateway.public_url),
    )
    async with asyncio.TaskGroup() as duties:
        duties.create_task(drain_forever(database, post.bus, access_ttl_s=access_ttl_s))
        duties.create_task(_replaying(post).run())
        duties.create_task(_keep_partitions(database, settings.worker.retention_days))
        duties.create_task(courier.run())
        duties.create_task(_tidy(post))
        duties.create_task(Teller(database, alarm).run())
        duties.create_task(Watcher(database, alarm).run())
        duties.create_task(_herald(post).run())
        duties.create_task(Eraser(post.databases, database.number).run())
        if database.number == CONTROL:  # one bucket for all shards
            duties.create_task(_sweep(Bodies(post.bus)))


def _replaying(post: Post) -> ReplayRunner:
    """Return who carries replays out; without the key of payloads no filter looks into one."""
    keys = None
    if (key := post.settings.keys.payloads) is not None:
        keys = BatchKeys(post.database, "dispatch", Sealer.from_text(key, setting=SETTING))
    return ReplayRunner(post.database, keys)


def _herald(post: Post) -> Herald:
    """Return who tells of alerts as events; without the key of payloads it seals none."""
    settings, keys = post.settings, None
    if settings.keys.payloads is not None:
        keys = TenantKeys(post.databases, Sealer.from_text(settings.keys.payloads, setting=SETTING))
    return Herald(
        post.database,
        post.databases,
        post.bus,
        keys=keys,
        max_body_bytes=settings.gateway.max_body_bytes,
    )


async def _tidy(post: Post) -> None:
    """Remove what people once signed in with, and resolve what was told of days that are over.

    Control's part is done beside shard 0.
    """
    while True:
        await patiently("alerts", lambda: resolve_past(post.database))
        await patiently("forgetting", lambda: forget_on_shard(post.database))
        await patiently("idempotency", lambda: forget_expired(post.database))
        await patiently("told", lambda: forget_told(post.database))
        await patiently("stats", lambda: forget_stats(post.database))
        await patiently("inboxes", lambda: forget_messages(post.database))
        if post.database.number == CONTROL:
            await patiently("forgetting", lambda: forget_in_control(post.databases))
        await asyncio.sleep(EVERY_S)


async def _sweep(bodies: Bodies) -> None:
    """Remove bodies from the object store that no message claims."""
    while True:
        await patiently("bodies", bodies.sweep)
        await asyncio.sleep(SWEEP_EVERY_S)


async def _keep_partitions(database: Database, retention_days: int) -> None:
    while True:
        await patiently("partitions", lambda: _once(database, retention_days))
        await asyncio.sleep(EVERY_S)


async def _once(database: Database, retention_days: int) -> None:
    async with database.session("maintenance") as connection:
        await partitions.ensure_ahead(connection)
        await retention.drop_before(connection, datetime.now(UTC) - timedelta(days=retention_days))
