"""What ends access tokens before their time reaches a gateway's memory, and leaves it again."""

import asyncio
import time
from typing import Final

import pytest

from crossdock import ids
from crossdock.bus.kv import Bucket
from crossdock.outbox import mirror, store
from crossdock.outbox.mirror import Mirror
from crossdock.tenancy.rules import PLATFORM
from proto.settings import Revoked, UserSettings, encoder
from tests.beds.people import People, Token
from tests.beds.settings import BUCKET, SettingsBed

WITHIN_S: Final = 1.0


@pytest.fixture
def people(bed: SettingsBed) -> People:
    """The tenant's users."""
    return People(bed.database, bed.tenant_id)


async def revoked(bed: SettingsBed, token: Token) -> None:
    """Wait until the gateway refuses a token."""
    await bed.until(lambda: bed.directory.is_revoked(*token), within_s=WITHIN_S)


async def settled(bed: SettingsBed) -> None:
    """Wait until whatever was committed is known."""
    source = await bed.add_source()
    await bed.until(lambda: bed.size_of(source) is not None)


async def test_a_session_that_ends_takes_its_tokens_along(bed: SettingsBed, people: People) -> None:
    token, other = await people.token(), await people.token()
    same_user = await people.token(token.user_id)
    await people.revoke(token)
    await revoked(bed, token)
    assert not bed.directory.is_revoked(*other)
    assert not bed.directory.is_revoked(*same_user)


async def test_a_users_tokens_end_at_a_moment(bed: SettingsBed, people: People) -> None:
    token, other = await people.token(), await people.token()
    await people.end_tokens(token)
    later = await people.token(token.user_id)
    await revoked(bed, token)
    assert not bed.directory.is_revoked(*later)
    assert not bed.directory.is_revoked(*other)
    await people.end_tokens(token)
    await revoked(bed, later)


async def test_a_tenants_tokens_end_at_a_moment(bed: SettingsBed, people: People) -> None:
    token, elsewhere = await people.token(), People(bed.database, await bed.add_tenant())
    other = await elsewhere.token()
    await people.end_all_tokens()
    later = await people.token(token.user_id)
    await revoked(bed, token)
    assert not bed.directory.is_revoked(*later)
    assert not bed.directory.is_revoked(*other)


async def test_of_a_user_that_is_gone_no_token_is_good(bed: SettingsBed, people: People) -> None:
    token = await people.token()
    await people.remove(token)
    await revoked(bed, token)
    async with bed.database.tenant(bed.tenant_id) as conn:
        await store.add(conn, bed.tenant_id, "session", str(token.session_id))
    stranger = token._replace(user_id=ids.new())
    await revoked(bed, stranger)


async def test_an_operator_is_out_when_the_support_access_ends(
    bed: SettingsBed, people: People
) -> None:
    token, other = await people.open_support(), await people.open_support()
    await settled(bed)
    assert not bed.directory.is_revoked(*token)
    await people.end_support(token)
    await revoked(bed, token)
    assert not bed.directory.is_revoked(*other)


async def test_what_an_outbox_row_says_that_is_not_so_revokes_nothing(
    bed: SettingsBed, people: People
) -> None:
    token = await people.token()
    async with bed.database.tenant(bed.tenant_id) as conn:
        await store.add(conn, bed.tenant_id, "session", str(token.session_id))
        await store.add(conn, bed.tenant_id, "user", str(token.user_id))
    await settled(bed)
    assert not bed.directory.is_revoked(*token)


async def test_what_a_tenant_says_of_anothers_people_revokes_nothing(
    bed: SettingsBed, people: People
) -> None:
    """SQL as a tenant's own role can say it; there is no such user there, so they are gone."""
    other = await bed.add_tenant()
    token = await people.token()
    async with bed.database.tenant(other) as conn:
        await store.add(conn, other, "session", str(token.session_id))
        await store.add(conn, other, "user", str(token.user_id))
    theirs = token._replace(tenant_id=other)
    await revoked(bed, theirs)
    await settled(bed)
    assert not bed.directory.is_revoked(*token)


async def test_an_operator_inside_ends_with_the_platforms_user(
    bed: SettingsBed, people: People
) -> None:
    operator = await People(bed.database, PLATFORM).token()
    inside = (await people.open_support())._replace(user_id=operator.user_id)
    await settled(bed)
    assert not bed.directory.is_revoked(*inside)
    await People(bed.database, PLATFORM).remove(operator)
    await revoked(bed, inside)


async def test_without_drainers_postgresql_tells_of_them(bed: SettingsBed, people: People) -> None:
    tokens = [await people.token() for _ in range(3)]
    await bed.stop("drainer")
    await people.revoke(tokens[0])
    await people.end_tokens(tokens[1])
    await people.remove(tokens[2])
    for token in tokens:
        await revoked(bed, token)


@pytest.mark.parametrize("way", ["bucket", "database"])
async def test_a_gateway_that_starts_later_knows_them_all(
    bed: SettingsBed, people: People, way: str
) -> None:
    session, user, operator = (
        await people.token(),
        await people.token(),
        await people.open_support(),
    )
    await people.revoke(session)
    await people.end_tokens(user)
    await people.end_support(operator)
    await settled(bed)
    if way == "database":
        await bed.stop("drainer")
        await bed.bus.jetstream().delete_stream(f"KV_{BUCKET}")
        async with bed.database.maintenance() as conn:  # its feed was read and forgotten
            await conn.execute(
                "DELETE FROM crossdock.outbox WHERE key = $1", str(operator.session_id)
            )
    late = bed.another_directory()
    await bed.until(lambda: late.ready)
    for token in (session, user, operator):
        assert late.is_revoked(*token)
    known = late.tenant(bed.tenant_id)
    assert known is not None
    assert known.state == "active"


async def test_a_bucket_that_was_deleted_has_revocations_and_tenants_again(
    bed: SettingsBed, people: People
) -> None:
    session, user = await people.token(), await people.token()
    await people.revoke(session)
    await people.end_tokens(user)
    await settled(bed)
    await bed.until_async(bed.all_published)
    await bed.bus.jetstream().delete_stream(f"KV_{BUCKET}")
    for key in (
        f"session.{bed.tenant_id.hex}{session.session_id.hex}",
        f"user.{bed.tenant_id.hex}{user.user_id.hex}",
        f"tenant.{bed.tenant_id.hex}",
    ):
        await bed.until_async(lambda key=key: bed.in_bucket(key))  # type: ignore[misc]


async def test_the_broker_drops_them_with_the_tokens_that_they_end(
    bed: SettingsBed, people: People
) -> None:
    token = await people.token()
    await people.revoke(token)
    await revoked(bed, token)
    found = await bed.bus.jetstream().get_last_msg(
        f"KV_{BUCKET}", f"$KV.{BUCKET}.session.{bed.tenant_id.hex}{token.session_id.hex}"
    )
    assert found.headers is not None
    assert 640 <= int(found.headers["Nats-TTL"].removesuffix("s")) <= 661


async def test_memory_forgets_them_when_their_tokens_have_expired(bed: SettingsBed) -> None:
    await bed.stop("drainer")
    before, session, user = bed.memory.revocations, ids.new(), ids.new()
    until = time.time() + 1.0
    ours = bed.tenant_id.hex
    await bed.put_raw(f"session.{ours}{session.hex}", encoder.encode(Revoked(1, until)))
    await bed.put_raw(f"user.{ours}{user.hex}", encoder.encode(UserSettings(1, until, until)))
    tokens = (
        Token(bed.tenant_id, ids.new(), session, until),
        Token(bed.tenant_id, user, ids.new(), 1.0),
    )
    for token in tokens:
        await revoked(bed, token)
    await bed.until(lambda: bed.memory.revocations == before)
    assert not any(bed.directory.is_revoked(*token) for token in tokens)


async def test_what_the_broker_has_dropped_can_be_put_again(
    bed: SettingsBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "SLACK_S", 1.0)
    await bed.stop("drainer")
    made = Mirror(Bucket(bed.worker_bus, BUCKET))
    key = f"session.{bed.tenant_id.hex}{ids.new().hex}"
    await made.publish(key, Revoked(1, time.time() + 1.0))
    assert await bed.in_bucket(key) is not None

    async def dropped() -> bool:
        return await bed.in_bucket(key) is None

    await bed.until_async(dropped)
    await made.publish(key, Revoked(2, time.time() + 60.0))
    assert await bed.in_bucket(key) is not None


async def test_of_many_drainers_each_revocation_is_put_once(
    bed: SettingsBed, people: People
) -> None:
    bed.start_drainer("another")
    tokens = await asyncio.gather(*(people.token() for _ in range(20)))
    await asyncio.gather(*map(people.revoke, tokens))
    for token in tokens:
        await revoked(bed, token)
