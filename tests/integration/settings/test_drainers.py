"""Several drainers, a bucket that lost or kept too much, and the feed they leave behind."""

import asyncio
from typing import Final

import msgspec

from crossdock.bus.kv import Bucket
from crossdock.inbound.sources.rules import token_hash
from crossdock.outbox import store
from crossdock.outbox.mirror import Known, Mirror
from crossdock.outbox.service import Drainer
from proto.settings import FOREVER, SourceSettings, decoder
from tests.beds.settings import ACCESS_TTL_S, BUCKET, SettingsBed

WITHIN_S: Final = 1.0


async def in_bucket(bed: SettingsBed, key: str) -> SourceSettings:
    """Return what a gateway that starts now would read."""
    entry = await bed.in_bucket(key)
    assert entry is not None
    found = decoder.decode(entry.value)
    assert isinstance(found, SourceSettings)
    return found


async def test_of_many_drainers_the_newest_snapshot_stays(bed: SettingsBed) -> None:
    for number in range(3):
        bed.start_drainer(f"drainer-{number}")
    sources = [await bed.add_source() for _ in range(5)]
    for size in range(2000, 2020):
        await asyncio.gather(*(bed.resize(source, size) for source in sources))
    for source in sources:
        await bed.until(lambda source=source: bed.size_of(source) == 2019, within_s=WITHIN_S)  # type: ignore[misc]
    await bed.until_async(bed.all_published)
    for source in sources:
        found = await in_bucket(bed, token_hash(source.token).hex())
        assert found.max_body_bytes == 2019


async def test_a_drainer_that_was_stopped_never_has_the_last_word(bed: SettingsBed) -> None:
    stopped, key = Mirror(Bucket(bed.worker_bus, BUCKET)), "ab" * 32
    quick = Mirror(Bucket(bed.bus, BUCKET))
    old = SourceSettings(version=5, tenant_id=bytes(16), source_id=bytes(16))
    await bed.stop("drainer")
    await quick.publish(key, msgspec.structs.replace(old, version=6))
    await stopped.publish(key, old)
    assert (await in_bucket(bed, key)).version == 6
    await stopped.publish(key, msgspec.structs.replace(old, version=7))
    await quick.publish(key, msgspec.structs.replace(old, version=FOREVER))
    await stopped.publish(key, msgspec.structs.replace(old, version=8))
    assert (await in_bucket(bed, key)).version == FOREVER


async def test_a_bucket_that_was_deleted_is_filled_again(bed: SettingsBed) -> None:
    source = await bed.add_source()
    await bed.until(lambda: bed.size_of(source) is not None)
    key = token_hash(source.token).hex()
    await bed.until_async(lambda: bed.in_bucket(key))
    await bed.bus.jetstream().delete_stream(f"KV_{BUCKET}")
    await bed.until_async(lambda: bed.in_bucket(key))
    assert bed.size_of(source) is not None, "the gateway knew all along"
    assert await bed.seen_after(source, 4000) < WITHIN_S


async def test_a_token_that_no_source_has_is_ended(bed: SettingsBed) -> None:
    stray = SourceSettings(version=3, tenant_id=bytes(16), source_id=bytes(16))
    await bed.stop("drainer")
    await bed.put_raw("cd" * 32, msgspec.msgpack.encode(stray))
    bed.start_drainer()

    async def ended() -> bool:
        return (await in_bucket(bed, "cd" * 32)).source_state == "deleted"

    await bed.until_async(ended)


async def test_a_drainer_on_the_wrong_database_ends_nothing(bed: SettingsBed) -> None:
    drainer = Drainer(bed.database, Bucket(bed.bus, BUCKET), access_ttl_s=ACCESS_TTL_S)
    versions = {f"{number:064x}": 1 for number in range(500)}
    drainer._mirror._known.update({key: Known(1, 1) for key in versions})
    assert drainer._strangers({}) == set()
    most = dict(list(versions.items())[:450])
    assert drainer._strangers(most) == versions.keys() - most.keys()


async def test_the_feed_keeps_an_hour(bed: SettingsBed) -> None:
    source = await bed.add_source()
    await bed.until(lambda: bed.size_of(source) is not None)
    await bed.until_async(bed.all_published)
    async with bed.database.maintenance() as connection:
        await store.forget_published(connection)
        assert await connection.fetchval("SELECT count(*) FROM crossdock.outbox") > 0
        await connection.execute(
            "UPDATE crossdock.outbox SET published_at = published_at - interval '61 minutes'"
        )
        await store.forget_published(connection)
        assert await connection.fetchval("SELECT count(*) FROM crossdock.outbox") == 0


async def test_a_position_never_runs_ahead_of_a_transaction_that_is_open(
    bed: SettingsBed,
) -> None:
    """A change that commits late has a low place in the feed, and must still be read."""
    source = await bed.add_source()
    await bed.until_async(bed.all_published)
    async with bed.database.maintenance() as late, bed.database.directory() as reader:
        await store.add_tenant(late, bed.tenant_id)
        mine = await late.fetchval("SELECT max(position) FROM crossdock.outbox")
        await bed.resize(source, 4000)
        place = await store.position(reader)
        assert place.finished <= mine
        assert {change.topic for change in await store.changed_since(reader, mine)} == {"source"}
    async with bed.database.directory() as reader:
        seen = await store.changed_since(reader, place.finished)
    assert ("tenant", str(bed.tenant_id)) in {(change.topic, change.key) for change in seen}


async def test_only_the_outboxs_own_topics_are_taken(bed: SettingsBed) -> None:
    async with bed.database.maintenance() as connection:
        await connection.execute(
            "INSERT INTO crossdock.outbox (tenant_id, topic, key) VALUES ($1, 'later', 'x')",
            bed.tenant_id,
        )
    source = await bed.add_source()
    await bed.until(lambda: bed.size_of(source) is not None, within_s=WITHIN_S)
    await bed.until(lambda: bed.directory.age_s < 0.2, within_s=WITHIN_S)
    async with bed.database.maintenance() as connection:
        waiting = await connection.fetchval(
            "SELECT published_at IS NULL FROM crossdock.outbox WHERE topic = 'later'"
        )
        await connection.execute("DELETE FROM crossdock.outbox WHERE topic = 'later'")
    assert waiting
