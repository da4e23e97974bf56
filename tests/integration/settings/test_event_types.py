"""From a change of an event type to what gateways hold payloads to."""

from typing import Final
from uuid import UUID

import pytest

from crossdock.directory import Directory
from crossdock.event_types.model import DetailedType, EventTypeEdit
from crossdock.event_types.service import EventTypes
from crossdock.inbound.events.service import Events
from crossdock.outbox.snapshots import type_key
from proto.settings import FOREVER, EventTypeSettings, decoder
from tests.beds.settings import BUCKET, SettingsBed

WITHIN_S: Final = 1.0
NAME: Final = "invoice.paid"
STRINGS, NUMBERS = b'{"type": "string"}', b'{"type": "number"}'


@pytest.fixture
def types(bed: SettingsBed) -> EventTypes:
    """The use cases."""
    return EventTypes(bed.databases, Events(bed.databases))


def held_to(directory: Directory, tenant_id: UUID) -> tuple[str, int, bool] | None:
    """Return the mode and number of the type, and whether it takes strings."""
    schemas = directory.schemas(tenant_id.bytes)
    found = None if schemas is None else schemas.get(NAME)
    return None if found is None else (found[0], found[1], not found[2].validate(b'"text"'))


async def known(
    bed: SettingsBed, expected: tuple[str, int, bool] | None, within_s: float = WITHIN_S
) -> None:
    """Wait until the gateway holds payloads to that."""
    await bed.until(lambda: held_to(bed.directory, bed.tenant_id) == expected, within_s=within_s)


async def made(bed: SettingsBed, types: EventTypes) -> DetailedType:
    """Make a type that rejects what is no string, and wait until the gateway has it."""
    edit = EventTypeEdit(mode="reject", compatibility="none")
    found = await types.create(bed.tenant_id, NAME, edit, STRINGS)
    await known(bed, ("reject", 1, True))
    return found


async def change(bed: SettingsBed, types: EventTypes, one: DetailedType, **changes: str) -> None:
    """Change the type, and give it the other schema."""
    key = one.event_type.id
    await types.patch(bed.tenant_id, key, changes, None, schema=NUMBERS)


async def test_every_change_of_a_type_is_known(bed: SettingsBed, types: EventTypes) -> None:
    one = await made(bed, types)
    key = one.event_type.id
    await change(bed, types, one, mode="quarantine")
    await known(bed, ("quarantine", 2, False))
    await types.patch(bed.tenant_id, key, {"mode": "off"}, None)
    await known(bed, None)
    await types.patch(bed.tenant_id, key, {"mode": "warn"}, None)
    await known(bed, ("warn", 2, False))
    await types.delete(bed.tenant_id, key, None)
    await known(bed, None)
    again = await made(bed, types)
    assert again.event_type.id != key


async def test_other_tenants_are_held_to_their_own(bed: SettingsBed, types: EventTypes) -> None:
    one = await made(bed, types)
    mine, bed.tenant_id = bed.tenant_id, await bed.add_tenant()
    await types.create(bed.tenant_id, NAME, EventTypeEdit(mode="warn"), NUMBERS)
    await known(bed, ("warn", 1, False))
    assert held_to(bed.directory, mine) == ("reject", 1, True)
    await types.delete(mine, one.event_type.id, None)
    await bed.until(lambda: held_to(bed.directory, mine) is None, within_s=WITHIN_S)
    assert held_to(bed.directory, bed.tenant_id) == ("warn", 1, False)


async def test_without_drainers_postgresql_tells_of_it(bed: SettingsBed, types: EventTypes) -> None:
    one = await made(bed, types)
    await bed.stop("drainer")
    await change(bed, types, one)
    await known(bed, ("reject", 2, False))
    await types.delete(bed.tenant_id, one.event_type.id, None)
    await known(bed, None)


async def test_a_gateway_that_starts_without_drainers_reads_postgresql(
    bed: SettingsBed, types: EventTypes
) -> None:
    await made(bed, types)
    await bed.stop("drainer")
    await lose_bucket(bed)
    late = bed.another_directory()
    await bed.until(lambda: late.ready)
    assert held_to(late, bed.tenant_id) == ("reject", 1, True)


async def test_what_is_in_the_bucket_serves_a_gateway_that_starts(
    bed: SettingsBed, types: EventTypes
) -> None:
    one = await made(bed, types)
    await bed.until_async(bed.all_published)
    entry = await bed.in_bucket(type_key(bed.tenant_id, one.event_type.id))
    assert entry is not None
    assert decoder.decode(entry.value) == EventTypeSettings(
        version=1,
        tenant_id=bed.tenant_id.bytes,
        name=NAME,
        mode="reject",
        number=1,
        schema=STRINGS,
    )
    late = bed.another_directory()
    await bed.until(lambda: late.ready)
    assert held_to(late, bed.tenant_id) == ("reject", 1, True)


async def test_a_schema_that_nothing_is_held_to_stays_at_home(
    bed: SettingsBed, types: EventTypes
) -> None:
    edit = EventTypeEdit(mode="off")
    one = await types.create(bed.tenant_id, NAME, edit, STRINGS)
    await bed.until_async(bed.all_published)
    entry = await bed.in_bucket(type_key(bed.tenant_id, one.event_type.id))
    assert entry is not None
    found = decoder.decode(entry.value)
    assert isinstance(found, EventTypeSettings)
    assert (found.mode, found.number, found.schema) == ("off", 1, b"")


async def test_the_bucket_says_that_a_deleted_type_is_gone(
    bed: SettingsBed, types: EventTypes
) -> None:
    one = await made(bed, types)
    await types.delete(bed.tenant_id, one.event_type.id, None)
    await known(bed, None)
    await bed.until_async(bed.all_published)
    entry = await bed.in_bucket(type_key(bed.tenant_id, one.event_type.id))
    assert entry is not None
    assert decoder.decode(entry.value) == EventTypeSettings(FOREVER, bed.tenant_id.bytes)


async def test_rows_that_were_erased_end_when_bucket_and_database_are_compared(
    bed: SettingsBed, types: EventTypes
) -> None:
    await made(bed, types)
    await erase(bed)
    await bed.stop("drainer")
    bed.start_drainer()
    await known(bed, None, within_s=5)


async def test_rows_that_were_erased_end_when_postgresql_is_read_whole(
    bed: SettingsBed, types: EventTypes
) -> None:
    await made(bed, types)
    await bed.stop("drainer")
    await erase(bed)
    async with bed.database.directory() as connection:
        await bed.follower._reload(connection)
    assert held_to(bed.directory, bed.tenant_id) is None


async def test_a_bucket_that_lost_a_type_gets_it_back(bed: SettingsBed, types: EventTypes) -> None:
    one = await made(bed, types)
    key = type_key(bed.tenant_id, one.event_type.id)
    await lose_bucket(bed)
    await bed.until_async(lambda: bed.in_bucket(key))


async def erase(bed: SettingsBed) -> None:
    """Remove the tenant's types as its erasure would, which tells nobody of each."""
    async with bed.databases.shard(0).operator(bed.tenant_id) as connection:
        await connection.execute(
            "DELETE FROM crossdock.event_types WHERE tenant_id = $1", bed.tenant_id
        )


async def lose_bucket(bed: SettingsBed) -> None:
    """Delete the bucket: the broker came back without its disk."""
    await bed.bus.jetstream().delete_stream(f"KV_{BUCKET}")
