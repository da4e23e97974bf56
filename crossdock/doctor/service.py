"""Examines the database, the broker, the keys and, beside `crossdock up`, the disk."""

import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from crossdock import bus, ids
from crossdock.bus import facts as broker_facts
from crossdock.bus.facts import BrokerFacts
from crossdock.config import DatabaseRole, DatabaseSettings, NatsSettings, Settings
from crossdock.db import Databases, partitions
from crossdock.db.migrate import newest_revision
from crossdock.doctor import rules, store
from crossdock.doctor.model import DatabaseFacts, Finding
from crossdock.embedded import EmbeddedNats
from crossdock.errors import BrokerUnavailable, ConfigurationError, DatabaseUnavailable
from crossdock.shards.service import Shards
from crossdock.supervisor.readiness import gateway_url, is_ready, worker_url

WAIT_S: Final = 5.0
READERS: Final[tuple[DatabaseRole, ...]] = (
    "owner",
    "maintenance",
    "dispatch",
    "ingest",
    "app",
    "directory",
    "control",
    "operator",
)
"""Any of them reads the catalogue; the first also reads the schema's revision."""


async def examine(
    settings: Settings, *, system: NatsSettings | None = None, data: Path | None = None
) -> list[Finding]:
    """Return all findings.

    Args:
        settings: what to examine.
        system: how to connect as the broker's system user, where that is known.
        data: the data folder, where servers are embedded; then also the programs are asked.
    """
    findings = [finding async for finding in _database(settings.database)]
    is_newest = any(one.check == "schema" and one.verdict == "ok" for one in findings)
    if is_newest and settings.database.control_password is not None:
        findings += [finding async for finding in _other_shards(settings.database)]
    broker = await _broker(settings.nats, system)
    if isinstance(broker, Finding):
        findings.append(broker)
    else:
        findings += rules.broker(broker)
        users = None if data is None else EmbeddedNats(data).users.all()
        names = None if users is None else {one.name for one in users}
        findings.append(rules.consumers(broker, names))
    findings += rules.keys(settings.keys)
    if data is not None:
        urls = {"gateway": gateway_url(settings), "worker": worker_url(settings)}
        findings += [rules.program(one, url, ready=is_ready(url)) for one, url in urls.items()]
        used = 0 if isinstance(broker, Finding) else sum(one.bytes for one in broker.streams)
        reserved = settings.nats.ingest_max_bytes + settings.nats.events_max_bytes - used
        findings.append(rules.disk(shutil.disk_usage(data).free, reserved))
    return findings


async def _database(settings: DatabaseSettings) -> AsyncIterator[Finding]:
    given = [role for role in READERS if settings.password(role) is not None]
    reader = given[0] if given else READERS[0]
    try:
        facts = await _database_facts(settings, reader)
    except (DatabaseUnavailable, ConfigurationError) as error:
        yield Finding(
            "database",
            "wrong",
            f"{settings.url}: {error}",
            "Start it, or correct CROSSDOCK_DATABASE__URL and the passwords.",
        )
        return
    for finding in rules.database(facts, datetime.now(UTC)):
        yield finding
    for role in given[1:]:
        yield await _login(settings, role)


async def _other_shards(settings: DatabaseSettings) -> AsyncIterator[Finding]:
    """Examine every shard but the first; say of each what is wrong, or that nothing is."""
    databases = await Databases.open(settings, {"control"})
    try:
        _, *others = await Shards(databases).all()
        for facts in others:
            name = facts.shard.name
            there = databases.shard(facts.shard.id).settings
            findings = [finding async for finding in _database(there)]
            for finding in findings:
                if finding.verdict != "ok":
                    yield msgspec.structs.replace(finding, check=f"shard {name}: {finding.check}")
            if facts.is_reachable:
                found = f"{facts.tenants} tenants, {facts.shard.state}"
                yield Finding(f"shard {name}", "ok", found)
    except (DatabaseUnavailable, ConfigurationError):
        return  # shard 0 has a finding of its own
    finally:
        await databases.close()


async def _database_facts(settings: DatabaseSettings, reader: DatabaseRole) -> DatabaseFacts:
    covered = None
    if settings.maintenance_password is not None:
        async with store.session(settings, "maintenance") as connection:
            covered = await partitions.id_range(connection)
    async with store.session(settings, reader) as connection:
        revision = await store.revision(connection)
        found_roles = await store.roles(connection)
        found_tables = await store.tables(connection)
        server = await store.server(connection)
    return DatabaseFacts(
        version=server["version"],
        revision=revision,
        newest_revision=newest_revision(),
        fsync=server["fsync"],
        now=server["now"],
        roles=found_roles,
        tables=found_tables,
        partitions_end=None if covered is None else ids.time_of(covered[1]),
        partitions_known=settings.maintenance_password is not None,
    )


async def _login(settings: DatabaseSettings, role: DatabaseRole) -> Finding:
    try:
        async with store.session(settings, role):
            return Finding(f"login {role}", "ok", "accepted")
    except (DatabaseUnavailable, ConfigurationError) as error:
        return Finding(
            f"login {role}",
            "wrong",
            str(error),
            f"Correct CROSSDOCK_DATABASE__{role.upper()}_PASSWORD.",
        )


async def _broker(settings: NatsSettings, system: NatsSettings | None) -> BrokerFacts | Finding:
    try:
        connection = await bus.connect(settings, name="crossdock-doctor", wait_s=WAIT_S)
        try:
            facts = await broker_facts.examine(connection)
        finally:
            await connection.close()
        if system is not None:
            facts = await _with_sync(facts, system)
    except (BrokerUnavailable, ConfigurationError) as error:
        return Finding(
            "broker",
            "wrong",
            f"{settings.url}: {error}",
            "Start it, or correct CROSSDOCK_NATS__URL, …__USER and …__PASSWORD.",
        )
    return facts


async def _with_sync(facts: BrokerFacts, system: NatsSettings) -> BrokerFacts:
    connection = await bus.connect(system, name="crossdock-doctor-system", wait_s=WAIT_S)
    try:
        always, interval_s = await broker_facts.sync_interval(connection)
    finally:
        await connection.close()
    return msgspec.structs.replace(facts, syncs_always=always, sync_interval_s=interval_s)
