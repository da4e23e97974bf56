"""Settings stay current within a second through every fault that leaves one of the two ways open.

Each test changes a source every 30 ms while the fault happens, and measures how long after its
commit the gateway knew of each change.
"""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec
import pytest

from crossdock.config import DatabaseSettings
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.errors import Unavailable
from crossdock.inbound.sources.rules import token_hash
from crossdock.telemetry.metrics import SETTINGS_FALLBACKS, SETTINGS_RESTARTS
from tests.beds import drainer as drainers_program
from tests.beds.people import People, Token
from tests.beds.settings import BUCKET, SettingsBed

CURRENT_S: Final = 1.0
SETTLED_S: Final = 0.5

STREAM: Final = f"KV_{BUCKET}"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def bed(
    private_nats: EmbeddedNats, fresh_database: DatabaseSettings
) -> AsyncIterator[SettingsBed]:
    """A gateway and a drainer; the broker is there to be killed."""
    async with SettingsBed.open(private_nats.settings(), fresh_database) as bed:
        yield await bed.running()


@pytest.fixture
async def frail_bed(
    private_nats: EmbeddedNats, private_postgres: EmbeddedPostgres
) -> AsyncIterator[SettingsBed]:
    """The same, and the database may be killed too."""
    settings = private_postgres.settings()
    async with SettingsBed.open(private_nats.settings(), settings) as bed:
        yield await bed.running()


def count(metric: object) -> Callable[[], float]:
    """Return a function that says by how much a counter has grown since."""
    before = metric._value.get()  # type: ignore[attr-defined]
    return lambda: metric._value.get() - before  # type: ignore[attr-defined]


async def settled(bed: SettingsBed) -> None:
    """Wait until a beat that comes from now on proves the settings again."""
    now = time.monotonic()
    await bed.until(lambda: bed.follower._beat_at > now and not bed.follower.falls_back)


async def test_broker_killed_and_restarted(bed: SettingsBed, private_nats: EmbeddedNats) -> None:
    restarts = count(SETTINGS_RESTARTS)
    async with bed.churning() as churn:
        await asyncio.to_thread(private_nats.kill)
        await asyncio.to_thread(private_nats.start)
        await bed.until(lambda: restarts() > 0)
        await settled(bed)
    assert churn.worst_s < CURRENT_S


async def test_broker_frozen_for_three_seconds(
    bed: SettingsBed, private_nats: EmbeddedNats
) -> None:
    fallbacks = count(SETTINGS_FALLBACKS)
    async with bed.churning() as churn:
        private_nats.pause()
        await asyncio.sleep(3)
        private_nats.resume()
        await settled(bed)
    assert churn.worst_s < CURRENT_S
    assert 5 <= fallbacks() <= 20, "three a second, no more"


async def test_broker_away_for_good(bed: SettingsBed, private_nats: EmbeddedNats) -> None:
    await asyncio.to_thread(private_nats.kill)
    async with bed.churning() as churn:
        await asyncio.sleep(3)
    assert churn.size > 1030
    assert churn.worst_s < CURRENT_S
    source = await bed.add_source()
    assert await bed.until(lambda: bed.directory.get(source.token) is not None) < CURRENT_S
    assert not await bed.all_published(), "what could not be published waits"
    await asyncio.to_thread(private_nats.start)
    await bed.until_async(bed.all_published)
    assert await bed.in_bucket(token_hash(source.token).hex()) is not None


async def test_broker_comes_back_with_nothing(bed: SettingsBed, private_nats: EmbeddedNats) -> None:
    restarts = count(SETTINGS_RESTARTS)
    async with bed.churning() as churn:
        await asyncio.to_thread(private_nats.kill)
        shutil.rmtree(private_nats.folder / "jetstream")
        await asyncio.to_thread(private_nats.start)
        await bed.until(lambda: restarts() > 0)
        await settled(bed)
    assert churn.worst_s < CURRENT_S
    assert await bed.bucket_size() == await bed.row_count(), "the drainer has filled it"


async def test_worker_killed_and_restarted(bed: SettingsBed) -> None:
    await bed.stop("drainer")
    servers = msgspec.json.encode(drainers_program.Servers(bed.nats, bed.database_settings))
    drainers: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [sys.executable, drainers_program.__file__]
        drainer = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert drainer.stdin is not None
        drainer.stdin.write(servers)
        drainer.stdin.close()
        drainers.append(drainer)

    try:
        start()
        await settled(bed)
        async with bed.churning() as churn:
            drainers[-1].kill()
            await asyncio.sleep(2)
            start()
            await settled(bed)
            drainers[-1].kill()
            start()
            await settled(bed)
        assert churn.worst_s < CURRENT_S
    finally:
        for drainer in drainers:
            drainer.kill()
            drainer.wait()


async def test_database_killed_then_back(
    frail_bed: SettingsBed, private_postgres: EmbeddedPostgres
) -> None:
    source = await frail_bed.add_source()
    await frail_bed.until(lambda: frail_bed.directory.get(source.token) is not None)
    async with frail_bed.churning() as churn:
        await asyncio.to_thread(private_postgres.kill)
        await frail_bed.until(lambda: frail_bed.directory.age_s > 2)
        found = frail_bed.directory.get(source.token)
        assert found is not None, "the last good copy serves"
        assert found.native.scheme == "stripe"
        assert await frail_bed.directory.lookup("nobody's token") is None, "the bucket still knows"
        await asyncio.to_thread(private_postgres.start)
        await settled(frail_bed)
    assert churn.refused
    assert churn.worst_s < CURRENT_S


async def test_both_away_the_last_good_copy_serves(
    frail_bed: SettingsBed, private_nats: EmbeddedNats, private_postgres: EmbeddedPostgres
) -> None:
    source = await frail_bed.add_source()
    await frail_bed.until(lambda: frail_bed.directory.get(source.token) is not None)
    await asyncio.to_thread(private_nats.kill)
    await asyncio.to_thread(private_postgres.kill)
    await frail_bed.until(lambda: frail_bed.directory.age_s > 5.5)
    found = frail_bed.directory.get(source.token)
    assert found is not None
    assert found.native.scheme == "stripe"
    with pytest.raises(Unavailable):
        await frail_bed.directory.lookup("nobody can say whose token")
    await asyncio.to_thread(private_postgres.start)
    await frail_bed.until(lambda: frail_bed.directory.age_s < SETTLED_S)
    assert await frail_bed.seen_after(source, 4321) < CURRENT_S


async def test_database_frozen_serves_on(
    frail_bed: SettingsBed, private_postgres: EmbeddedPostgres
) -> None:
    source = await frail_bed.add_source()
    await frail_bed.until(lambda: frail_bed.directory.get(source.token) is not None)
    private_postgres.pause()
    await frail_bed.until(lambda: frail_bed.directory.age_s > 3)
    assert frail_bed.directory.get(source.token) is not None
    assert await frail_bed.directory.lookup("nobody's token") is None
    private_postgres.resume()
    await settled(frail_bed)
    assert await frail_bed.seen_after(source, 4321) < CURRENT_S


async def test_a_deaf_watch(bed: SettingsBed) -> None:
    restarts = count(SETTINGS_RESTARTS)
    jetstream = bed.bus.jetstream()
    async with bed.churning() as churn:
        for _ in range(3):
            for consumer in await jetstream.consumers_info(STREAM):
                await jetstream.delete_consumer(STREAM, consumer.name)
            deaf = restarts()
            await bed.until(lambda deaf=deaf: restarts() > deaf)  # type: ignore[misc]
            await settled(bed)
    assert churn.worst_s < CURRENT_S


async def test_connection_dropped(bed: SettingsBed) -> None:
    async with bed.churning() as churn:
        for _ in range(3):
            bed.drop_connection()
            await settled(bed)
    assert churn.worst_s < CURRENT_S


async def test_a_gateway_that_starts_while_the_broker_is_away(
    bed: SettingsBed, private_nats: EmbeddedNats
) -> None:
    source = await bed.add_source()
    await asyncio.to_thread(private_nats.kill)
    directory = bed.another_directory()
    with pytest.raises(Unavailable):
        await bed.another_directory().lookup("nobody knows yet")
    assert await bed.until(lambda: directory.ready) < CURRENT_S
    assert directory.get(source.token) is not None


async def test_a_gateway_that_starts_while_the_database_is_away(
    frail_bed: SettingsBed, private_postgres: EmbeddedPostgres
) -> None:
    source = await frail_bed.add_source()
    await frail_bed.until(lambda: frail_bed.directory.get(source.token) is not None)
    await asyncio.to_thread(private_postgres.kill)
    directory = frail_bed.another_directory()
    assert await frail_bed.until(lambda: directory.ready) < CURRENT_S
    assert directory.get(source.token) is not None


async def revoked_in(bed: SettingsBed, token: Token) -> float:
    """Wait until the gateway refuses a token; return the seconds since now."""
    return await bed.until(lambda: bed.directory.is_revoked(*token))


async def test_revocations_while_the_broker_is_frozen(
    bed: SettingsBed, private_nats: EmbeddedNats
) -> None:
    people = People(bed.database, bed.tenant_id)
    tokens = [await people.token() for _ in range(4)]
    private_nats.pause()
    try:
        await people.revoke(tokens[0])
        assert await revoked_in(bed, tokens[0]) < CURRENT_S, "at once, before silence is noticed"
        await bed.until(lambda: bed.follower.falls_back)
        for token, end in zip(tokens[1:3], (people.revoke, people.end_tokens), strict=True):
            await end(token)
            assert await revoked_in(bed, token) < CURRENT_S
        await people.end_all_tokens()
        assert await revoked_in(bed, tokens[3]) < CURRENT_S
    finally:
        private_nats.resume()
    await settled(bed)
    assert bed.directory.is_current(0)


async def test_revocations_outlive_the_brokers_data(
    bed: SettingsBed, private_nats: EmbeddedNats
) -> None:
    people = People(bed.database, bed.tenant_id)
    before, during, after = [await people.token() for _ in range(3)]
    await people.revoke(before)
    await revoked_in(bed, before)
    await asyncio.to_thread(private_nats.kill)
    shutil.rmtree(private_nats.folder / "jetstream")
    await people.revoke(during)
    assert await revoked_in(bed, during) < CURRENT_S
    await asyncio.to_thread(private_nats.start)
    await settled(bed)
    await people.revoke(after)
    assert await revoked_in(bed, after) < CURRENT_S
    await bed.stop("drainer")
    late = bed.another_directory()
    await bed.until(lambda: late.ready)
    for token in (before, during, after):
        assert late.is_revoked(*token), "the drainer has put them back"
    assert late.tenant(bed.tenant_id) is not None
