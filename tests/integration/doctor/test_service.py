"""An examination of real servers finds what was broken on purpose."""

from collections.abc import Callable

import msgspec
import pytest

from crossdock import bus
from crossdock.bus.streams import ensure_streams
from crossdock.config import DatabaseSettings, NatsSettings, Settings
from crossdock.doctor import service
from crossdock.doctor.model import Finding
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from tests.beds.shards import Town


@pytest.fixture
async def sound(
    settings: Settings, fresh_database: DatabaseSettings, nats_settings: NatsSettings
) -> Settings:
    connection = await bus.connect(nats_settings)
    await ensure_streams(connection)
    await connection.close()
    return msgspec.structs.replace(settings, database=fresh_database)


def _wrong(findings: list[Finding]) -> dict[str, str]:
    return {one.check: one.found for one in findings if one.verdict == "wrong"}


async def test_a_sound_deployment_is_well_but_for_a_test_servers_fsync(
    sound: Settings, nats_server: EmbeddedNats
) -> None:
    findings = await service.examine(sound, system=nats_server.system_settings())
    assert set(_wrong(findings)) == {"database durability"}
    durability = next(one for one in findings if one.check == "broker durability")
    assert durability.verdict == "ok"


async def test_every_shard_is_examined(
    sound: Settings,
    new_database: Callable[[], DatabaseSettings],
    postgres_server: EmbeddedPostgres,
    nats_server: EmbeddedNats,
) -> None:
    settings = msgspec.structs.replace(sound, database=new_database())
    second = new_database()
    async with Town.open(postgres_server, settings.database, second):
        findings = await service.examine(settings, system=nats_server.system_settings())
        assert "shard second" in {one.check for one in findings if one.verdict == "ok"}
        postgres_server.execute(
            "UPDATE crossdock.alembic_version SET version_num = 'old'",
            database=second.url.rpartition("/")[2],
        )
        findings = await service.examine(settings, system=nats_server.system_settings())
        assert _wrong(findings)["shard second: schema"].startswith("revision old")
    postgres_server.drop_database(second.url.rpartition("/")[2])
    findings = await service.examine(settings, system=nats_server.system_settings())
    assert "does not exist" in _wrong(findings)["shard second: database"]


async def test_what_was_broken_is_found(
    sound: Settings, postgres_server: EmbeddedPostgres, nats_server: EmbeddedNats
) -> None:
    database = sound.database.url.rpartition("/")[2]
    postgres_server.execute(
        "ALTER TABLE crossdock.destinations NO FORCE ROW LEVEL SECURITY",
        "UPDATE crossdock.alembic_version SET version_num = 'old'",
        database=database,
    )
    partition = postgres_server.execute(
        "SELECT relname FROM pg_class WHERE relispartition AND relname LIKE 'events%' LIMIT 1",
        database=database,
    )
    postgres_server.execute(
        f'GRANT SELECT ON crossdock."{partition}" TO crossdock_app', database=database
    )
    wrong_password = msgspec.structs.replace(sound.database, app_password="no")
    findings = await service.examine(msgspec.structs.replace(sound, database=wrong_password))
    wrong = _wrong(findings)
    assert wrong["schema"].startswith("revision old")
    assert "password" in wrong["login app"]
    isolation = [one.found for one in findings if one.check == "tenant isolation"]
    assert ["destinations" in found for found in isolation] == [True, False]
    assert partition in isolation[1]


async def test_a_stream_that_differs_is_found(sound: Settings) -> None:
    wider = msgspec.structs.replace(sound.nats, ingest_max_bytes=sound.nats.ingest_max_bytes * 2)
    findings = await service.examine(msgspec.structs.replace(sound, nats=wider))
    assert "max_bytes" in _wrong(findings)["stream INGEST"]


async def test_servers_that_are_away_are_findings_and_no_errors() -> None:
    nowhere = Settings(
        database=DatabaseSettings(url="postgresql://127.0.0.1:1/x", app_password="x"),
        nats=NatsSettings(url="nats://127.0.0.1:1"),
    )
    assert set(_wrong(await service.examine(nowhere))) == {"database", "broker"}
