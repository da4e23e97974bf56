"""What the directory takes as proof, and what it does without."""

import asyncio
import time
from typing import Final

import msgspec

from crossdock.inbound.sources.rules import token_hash
from crossdock.outbox import store
from crossdock.telemetry.metrics import SETTINGS_FALLBACKS
from proto.settings import decoder, encoder
from tests.beds.settings import SettingsBed, follower_of

WITHIN_S: Final = 1.0


async def test_an_older_snapshot_changes_nothing(bed: SettingsBed) -> None:
    source = await bed.add_source()
    key = token_hash(source.token).hex()
    await bed.seen_after(source, 2000)
    await bed.until_async(bed.all_published)
    entry = await bed.in_bucket(key)
    assert entry is not None
    newest = decoder.decode(entry.value)
    older = msgspec.structs.replace(newest, version=newest.version - 1, max_body_bytes=1)
    same = msgspec.structs.replace(newest, max_body_bytes=2)
    for stale in (older, same):
        await bed.put_raw(key, encoder.encode(stale))
    await bed.seen_after(await bed.add_source(), 3000)
    assert bed.size_of(source) == 2000


async def test_beats_alone_prove_that_the_copy_is_current(bed: SettingsBed) -> None:
    source = await bed.add_source()
    await bed.until(lambda: bed.size_of(source) is not None)
    before = SETTINGS_FALLBACKS._value.get()
    ages = []
    for _ in range(20):
        await asyncio.sleep(0.05)
        ages.append(bed.directory.age_s)
    assert max(ages) < 0.6
    assert SETTINGS_FALLBACKS._value.get() == before, "PostgreSQL is left alone"


async def test_three_drainers_beat_as_often_as_one(bed: SettingsBed) -> None:
    for number in range(2):
        bed.start_drainer(f"drainer-{number}")
    await asyncio.sleep(1)
    before = bed.follower._watch.revision
    await asyncio.sleep(2)
    assert 5 <= bed.follower._watch.revision - before <= 14


async def test_without_drainers_postgresql_is_asked(bed: SettingsBed) -> None:
    source = await bed.add_source()
    await bed.until(lambda: bed.size_of(source) is not None)
    await bed.stop("drainer")
    late = [await bed.seen_after(source, 2000 + number) for number in range(3)]
    assert max(late) < WITHIN_S
    assert bed.follower.falls_back


async def test_a_beat_that_is_history_proves_nothing(bed: SettingsBed) -> None:
    await bed.until(lambda: bed.directory.age_s < 0.2)
    await bed.stop("drainer")
    source = await bed.add_source()
    late = bed.another_directory()
    await bed.until(lambda: late.ready)
    assert follower_of(late).falls_back
    assert await bed.until(lambda: late.get(source.token) is not None) < WITHIN_S


async def test_what_the_feed_has_forgotten_is_read_whole(bed: SettingsBed) -> None:
    kept, erased = await bed.add_source(), await bed.add_source()
    await bed.until(lambda: bed.size_of(kept) is not None and bed.size_of(erased) is not None)
    await bed.stop("drainer")
    await bed.stop("gateway")
    await bed.resize(kept, 2000)
    await bed.erase(erased)
    async with bed.database.maintenance() as connection:
        await connection.execute("DELETE FROM crossdock.outbox")
    bed.follower._position_at -= store.FEED_S
    bed.start_gateway()
    await bed.until(lambda: bed.size_of(kept) == 2000, within_s=2)
    await bed.until(lambda: bed.directory.get(erased.token) is None, within_s=2)


async def test_a_database_without_sources_ends_none(bed: SettingsBed) -> None:
    source = await bed.add_source()
    await bed.until(lambda: bed.size_of(source) is not None)
    sources, ended = bed.memory.sources, bed.memory.ended
    known = sources[token_hash(source.token)]
    strangers = {bytes([number]) * 32: known for number in range(200)}
    sources.update(strangers)
    async with bed.database.directory() as connection:
        await bed.follower._reload(connection)
    assert sources[bytes(32)] is known
    for stranger in list(strangers)[10:]:
        del sources[stranger]
    async with bed.database.directory() as connection:
        await bed.follower._reload(connection)
    assert bytes(32) not in sources
    assert ended[bytes(32)] == 0
    assert bed.size_of(source) is not None


async def test_junk_leaves_nothing_behind_while_postgresql_is_asked(bed: SettingsBed) -> None:
    await bed.stop("drainer")
    await bed.until(lambda: bed.follower.falls_back)
    before = bed.directory.count
    assert await bed.directory.lookup("junk") is None
    assert bed.directory.count == before
    source = await bed.add_source()
    found = await bed.directory.lookup(source.token)
    assert found is not None, "and PostgreSQL knows what the bucket has not been told"


async def test_a_break_in_the_watch_is_bridged_by_postgresql(bed: SettingsBed) -> None:
    """Beats that go on do not tell what was lost while nobody listened."""
    await bed.until(lambda: not bed.follower.falls_back)
    before = SETTINGS_FALLBACKS._value.get()
    session = bed.follower._watch.sessions
    bed.follower._watch._broken.set()
    await bed.until(lambda: bed.follower._watch.sessions > session)
    await bed.until(lambda: not bed.follower.falls_back)
    assert SETTINGS_FALLBACKS._value.get() == before + 1


async def test_the_age_grows_when_nothing_proves_anything(bed: SettingsBed) -> None:
    await bed.stop("drainer")
    await bed.stop("gateway")
    age, began = bed.directory.age_s, time.monotonic()
    await asyncio.sleep(0.2)
    grown = bed.directory.age_s - age
    assert abs(grown - (time.monotonic() - began)) < 0.05
