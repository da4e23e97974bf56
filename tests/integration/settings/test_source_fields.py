"""What gateways learn of a source beside how to verify."""

from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import text

from crossdock import ids
from crossdock.inbound.model import OpenedSource
from crossdock.outbox import store
from crossdock.outbox.snapshots import NO_KEY
from proto.settings import SourceSettings, WrappedKey
from tests.beds.settings import SettingsBed

WITHIN_S: Final = 1.0
_OWN: Final = text(
    "INSERT INTO crossdock.sources (tenant_id, id, name, scheme, state, recipe, secrets,"
    " token_hash, token_sealed, max_body_bytes)"
    " SELECT tenant_id, :own, 'own', 'api', state, recipe, secrets, :hash, token_sealed,"
    " max_body_bytes FROM crossdock.sources WHERE id = :other"
)


async def changed(bed: SettingsBed, **columns: Any) -> SourceSettings:
    """Make a source with these columns; return what the gateway knows of it."""
    source = await bed.add_source()
    await write(bed, source, **columns)
    await bed.until(lambda: version_of(bed, source) > 2)
    found = bed.directory.get(source.token)
    assert found is not None
    return found.settings


async def write(bed: SettingsBed, source: OpenedSource, **columns: Any) -> None:
    """Write columns of a source, and tell of it."""
    names = ", ".join(f"{name} = :{name}" for name in columns)
    statement = f"UPDATE crossdock.sources SET version = version + 1, {names} WHERE id = :id"  # noqa: S608 - names of ours
    async with bed.database.tenant(bed.tenant_id) as connection:
        await connection.execute(text(statement), {"id": source.source.id, **columns})
        await store.add(connection, bed.tenant_id, "source", str(source.source.id))


def version_of(bed: SettingsBed, source: OpenedSource) -> int:
    """Return the version that the gateway knows of; 0 for none."""
    found = bed.directory.get(source.token)
    return 0 if found is None else found.settings.version


async def add_key(bed: SettingsBed) -> UUID:
    """Give the tenant a data key; nothing opens it."""
    key = ids.new()
    async with bed.database.tenant(bed.tenant_id) as connection:
        await connection.execute(
            text("INSERT INTO crossdock.payload_keys (tenant_id, id, wrapped) VALUES (:t, :k, :w)"),
            {"t": bed.tenant_id, "k": key, "w": b"wrapped"},
        )
    return key


async def test_content_types_and_indexed_fields(bed: SettingsBed) -> None:
    columns = {"content_types": ["application/json"], "indexed_fields": ["/id", "/a/b"]}
    found = await changed(bed, **columns)
    assert (found.content_types, found.indexed) == (("application/json",), ("/id", "/a/b"))


@pytest.mark.parametrize(
    ("buffers", "expected"), [(True, ("active", True)), (False, ("paused", False))]
)
async def test_a_paused_source(
    bed: SettingsBed, buffers: object, expected: tuple[str, bool]
) -> None:
    found = await changed(bed, state="paused", buffers=buffers)
    assert (found.source_state, found.holds) == expected


async def test_the_tenants_data_key(bed: SettingsBed) -> None:
    key = await add_key(bed)
    assert (await changed(bed, encrypts=True)).data_key == WrappedKey(key.bytes, b"wrapped")
    assert (await changed(bed, encrypts=False)).data_key is None


async def test_for_want_of_a_key_there_is_one_that_opens_nothing(bed: SettingsBed) -> None:
    await add_key(bed)
    bed.tenant_id = await bed.add_tenant()
    assert (await changed(bed, encrypts=True)).data_key == NO_KEY


async def test_a_tenants_own_events_have_no_door(bed: SettingsBed) -> None:
    source, own, digest = await bed.add_source(), ids.new(), bytes(range(32))
    async with bed.database.tenant(bed.tenant_id) as connection:
        await connection.execute(_OWN, {"own": own, "hash": digest, "other": source.source.id})
        await store.add(connection, bed.tenant_id, "source", str(own))
    assert await bed.seen_after(source, 3000) < WITHIN_S
    await bed.until_async(bed.all_published)
    assert await bed.in_bucket(digest.hex()) is None
    async with bed.database.directory() as connection:
        assert digest.hex() not in await store.versions(connection)
        assert not await store.sources_by_id(connection, [own], [])
        assert not await store.sources_by_token(connection, [digest])
        found = await store.sources_after(connection, b"", 1000)
    assert {row["id"] for row in found} & {own, source.source.id} == {source.source.id}
