"""Signing keys on a real database: made once, rotated, sought, retired, in several processes."""

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, Final

import asyncpg
import msgspec
import pytest

from crossdock import ids
from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import Conflict, DatabaseUnavailable, Unauthenticated, Unavailable
from crossdock.identity.keys import SigningKeys, list_keys, rules
from crossdock.identity.keys.service import ABSENT_KIDS, ABSENT_S
from crossdock.identity.tokens import Claims, Issuer, UnknownKey, Verifier
from crossdock.secrets.seal import Sealer
from tests.beds.key_holder import Process

KEY: Final = os.urandom(32)
SEALER: Final = Sealer(KEY)


class Clock:
    """Time as a test wants it, beginning now; the database's own goes on by itself."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def later(self, by: timedelta | float) -> None:
        self.now += by.total_seconds() if isinstance(by, timedelta) else by


@pytest.fixture
async def admin(
    fresh_database: DatabaseSettings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[asyncpg.Connection]:
    name = fresh_database.url.rpartition("/")[2]
    connection = await asyncpg.connect(postgres_server.admin_url(name))
    await connection.execute("DELETE FROM crossdock.signing_keys")
    yield connection
    await connection.close()


@pytest.fixture
async def databases(fresh_database: DatabaseSettings, admin: Any) -> AsyncIterator[Databases]:
    opened = await Databases.open(fresh_database, {"control"})
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def holding(databases: Databases, clock: Clock, sealer: Sealer = SEALER) -> SigningKeys:
    return SigningKeys(databases, sealer, clock=clock, monotonic=clock)


@pytest.fixture
async def keys(databases: Databases, clock: Clock) -> SigningKeys:
    held = holding(databases, clock)
    await held.load()
    return held


def kids(keys: SigningKeys) -> set[str]:
    return {key["kid"] for key in keys.jwks()["keys"]}


def issue(keys: SigningKeys, clock: Clock) -> str:
    claims = Claims(ids.new(), ids.new(), ids.new(), ("owner",), clock.now, clock.now + 600)
    return Issuer(keys, public_url="http://x", environment="test").issue(claims)


def verify(keys: SigningKeys, text: str, clock: Clock) -> Claims:
    return Verifier(keys, public_url="http://x", environment="test", clock=clock).verify(text)


def believes(keys: SigningKeys, text: str, clock: Clock) -> bool:
    return verify(keys, text, clock).roles == ("owner",)


async def test_the_first_key_is_made_when_none_is_there(
    keys: SigningKeys, databases: Databases, clock: Clock
) -> None:
    (jwk,) = keys.jwks()["keys"]
    assert (jwk["kty"], jwk["crv"], jwk["alg"], jwk["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    assert set(jwk) == {"kty", "crv", "x", "alg", "use", "kid"}
    assert keys.current().kid == jwk["kid"]
    other = holding(databases, clock)
    await other.load()
    assert kids(other) == kids(keys)
    assert believes(other, issue(keys, clock), clock)


async def test_before_any_was_read_nothing_is_signed_and_nothing_is_believed(
    databases: Databases, clock: Clock, keys: SigningKeys
) -> None:
    empty = holding(databases, clock)
    with pytest.raises(Unavailable):
        empty.current()
    with pytest.raises(UnknownKey):
        verify(empty, issue(keys, clock), clock)
    assert empty.jwks() == {"keys": []}


async def test_ten_at_once_make_one_first_key(
    databases: Databases, clock: Clock, admin: Any
) -> None:
    held = [holding(databases, clock) for _ in range(10)]
    await asyncio.gather(*(one.load() for one in held))
    assert len({one.current().kid for one in held}) == 1
    assert await admin.fetchval("SELECT count(*) FROM crossdock.signing_keys") == 1


async def test_a_new_key_is_published_at_once_and_signs_later(
    keys: SigningKeys, clock: Clock
) -> None:
    old, before = keys.current().kid, issue(keys, clock)
    made = await keys.rotate()
    assert made.phase == "published"
    assert kids(keys) == {old, made.kid}
    assert keys.current().kid == old
    clock.later(rules.PUBLISH_AHEAD - timedelta(seconds=30))
    assert keys.current().kid == old
    last = issue(keys, clock)
    clock.later(60)
    assert keys.current().kid == made.kid
    assert believes(keys, last, clock)
    with pytest.raises(Unauthenticated):
        verify(keys, before, clock)  # its own ten minutes are over
    assert kids(keys) == {old, made.kid}


async def test_an_old_key_ends_when_nothing_that_it_signed_can_live(
    keys: SigningKeys, databases: Databases, clock: Clock, admin: Any
) -> None:
    old = keys.current().kid
    made = await keys.rotate()
    clock.later(rules.PUBLISH_AHEAD + rules.LIFE_AFTER - timedelta(seconds=30))
    assert kids(keys) == {old, made.kid}
    clock.later(60)
    assert kids(keys) == {made.kid}
    assert keys.find(old) is None
    # The database's clock has to get there too before the private part is forgotten.
    await keys.load()
    assert await sealed(admin, old)
    await admin.execute(
        "UPDATE crossdock.signing_keys SET ends_at = now() - interval '1 s' WHERE id = $1", old
    )
    await keys.load()
    assert not await sealed(admin, old)
    await keys.load()
    assert kids(keys) == {made.kid}
    phases = {key.kid: key.phase for key in await list_keys(databases)}
    assert phases == {old: "retired", made.kid: "signing"}


async def sealed(admin: Any, kid: str) -> bool:
    found: bool = await admin.fetchval(
        "SELECT private_sealed IS NOT NULL FROM crossdock.signing_keys WHERE id = $1", kid
    )
    return found


async def test_a_second_rotation_waits_for_the_first(keys: SigningKeys) -> None:
    made = await keys.rotate()
    with pytest.raises(Conflict, match=made.kid):
        await keys.rotate()
    assert len(kids(keys)) == 2


async def test_two_rotations_at_once_are_one(
    databases: Databases, clock: Clock, admin: Any
) -> None:
    held = [holding(databases, clock) for _ in range(5)]
    await held[0].load()
    outcomes = await asyncio.gather(*(one.rotate() for one in held), return_exceptions=True)
    assert sum(isinstance(one, Conflict) for one in outcomes) == 4
    assert await admin.fetchval("SELECT count(*) FROM crossdock.signing_keys") == 2


async def test_in_an_emergency_the_new_key_signs_at_once(keys: SigningKeys, clock: Clock) -> None:
    old, text = keys.current().kid, issue(keys, clock)
    pending = await keys.rotate()
    made = await keys.rotate(at_once=True)
    clock.later(1)
    assert keys.current().kid == made.kid
    assert made.phase == "signing"
    assert kids(keys) == {old, pending.kid, made.kid}
    assert believes(keys, text, clock)
    clock.later(rules.PUBLISH_AHEAD)  # the one that was on its way does not come back
    assert keys.current().kid == made.kid


async def test_a_leaked_key_ends_with_all_that_it_signed(
    keys: SigningKeys, databases: Databases, clock: Clock, admin: Any
) -> None:
    other = holding(databases, clock)
    await other.load()
    old, text = keys.current().kid, issue(keys, clock)
    made = await keys.rotate(revoke_old=True)
    clock.later(1)
    for one in (keys, other):
        await one.load()
        assert kids(one) == {made.kid}
        with pytest.raises(UnknownKey):
            verify(one, text, clock)
        assert not await one.seek(old)
    assert not await sealed(admin, old)
    assert believes(other, issue(keys, clock), clock)


async def test_a_clock_that_is_behind_signs_all_the_same(keys: SigningKeys, clock: Clock) -> None:
    clock.later(-3)
    assert keys.current().kid
    made = await keys.rotate(revoke_old=True)
    assert keys.current().kid == made.kid


async def test_one_that_is_not_in_memory_is_sought_once(
    keys: SigningKeys, databases: Databases, clock: Clock
) -> None:
    other = holding(databases, clock)
    await other.load()
    made = await other.rotate(at_once=True)
    clock.later(1)
    text = issue(other, clock)
    with pytest.raises(UnknownKey) as unknown:
        verify(keys, text, clock)
    assert unknown.value.kid == made.kid
    assert all(await asyncio.gather(*(keys.seek(made.kid) for _ in range(20))))
    assert believes(keys, text, clock)


class Counted:
    """The control database, and how often it was asked."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self.asked = 0

    def control(self) -> Any:
        self.asked += 1
        return self._databases.control()


async def test_junk_kids_cost_nearly_nothing_and_throw_no_key_out(
    databases: Databases, clock: Clock
) -> None:
    counted = Counted(databases)
    keys = SigningKeys(counted, SEALER, clock=clock, monotonic=clock)  # type: ignore[arg-type]
    await keys.load()
    clock.later(10)
    counted.asked = 0
    good = kids(keys)
    for number in range(2 * ABSENT_KIDS):
        assert not await keys.seek(f"junk{number}")
    assert counted.asked == 1  # all of them at one moment
    clock.later(2)
    assert not await keys.seek("junk0")  # the one that was really looked for
    assert counted.asked == 1
    clock.later(ABSENT_S)
    assert not await keys.seek("junk0")
    assert counted.asked == 2
    for number in range(2 * ABSENT_KIDS):
        clock.later(1)
        assert not await keys.seek(f"more{number}")
    assert len(keys._absent) == ABSENT_KIDS
    assert kids(keys) == good
    assert keys.current().kid


async def test_known_keys_stay_while_the_database_is_away(
    keys: SigningKeys, databases: Databases, clock: Clock
) -> None:
    text = issue(keys, clock)

    class Away:
        def control(self) -> Any:
            raise DatabaseUnavailable

    keys._database = Away()  # type: ignore[assignment]
    with pytest.raises(DatabaseUnavailable):
        await keys.load()
    with pytest.raises(DatabaseUnavailable):
        await keys.seek("x")
    assert believes(keys, text, clock)
    assert issue(keys, clock)
    keys._database = databases
    clock.later(2)
    assert not await keys.seek("x")  # that it was away is not remembered against it


async def test_whoever_can_write_rows_can_not_smuggle_a_key_in(
    keys: SigningKeys, databases: Databases, clock: Clock, admin: Any
) -> None:
    own = Sealer(os.urandom(32))
    made = rules.generate(own)
    await admin.execute(
        "INSERT INTO crossdock.signing_keys (id, algorithm, public, private_sealed, signs_from)"
        " VALUES ($1, 'EdDSA', $2, $3, now())",
        made.kid,
        msgspec.json.encode(made.public).decode(),
        made.private_sealed,
    )
    good = kids(keys)
    await admin.execute(  # and a public part of his own in our row
        "UPDATE crossdock.signing_keys SET public = $2 WHERE id = ANY ($1)",
        list(good),
        msgspec.json.encode(made.public).decode(),
    )
    fresh = holding(databases, clock)
    await fresh.load()
    assert kids(fresh) == good
    assert believes(fresh, issue(keys, clock), clock)
    assert {key["x"] for key in fresh.jwks()["keys"]} == {key["x"] for key in keys.jwks()["keys"]}


async def test_another_sealing_key_makes_no_second_first_key(
    keys: SigningKeys, databases: Databases, clock: Clock, admin: Any
) -> None:
    stranger = holding(databases, clock, Sealer(os.urandom(32)))
    await stranger.load()
    with pytest.raises(Unavailable):
        stranger.current()
    assert await admin.fetchval("SELECT count(*) FROM crossdock.signing_keys") == 1


async def test_private_parts_are_nowhere_in_the_database(keys: SigningKeys, admin: Any) -> None:
    secret = keys.current().private.as_dict(private=True)["d"]
    raw = base64.urlsafe_b64decode(secret + "=")
    row = await admin.fetchrow("SELECT * FROM crossdock.signing_keys")
    assert raw not in row["private_sealed"]
    assert secret.encode() not in row["private_sealed"]
    assert secret not in str(dict(row))


@pytest.fixture
def processes(fresh_database: DatabaseSettings, admin: Any) -> Iterator[tuple[Process, Process]]:
    with ExitStack() as stack:
        yield (
            stack.enter_context(Process(fresh_database, KEY)),
            stack.enter_context(Process(fresh_database, KEY)),
        )


async def test_two_processes_agree_on_a_first_key_and_follow_a_rotation(
    processes: tuple[Process, Process], databases: Databases, admin: Any
) -> None:
    one, two = processes
    for process in processes:
        process.say("load")
    first = {process.hear() for process in processes}
    assert len(first) == 1
    assert await admin.fetchval("SELECT count(*) FROM crossdock.signing_keys") == 1
    before = one.ask("token")
    assert two.ask(before) == "owner"
    operator = SigningKeys(databases, SEALER)
    await operator.rotate(at_once=True)
    assert len(one.ask("load").split()) == 2
    after = one.ask("token")
    assert two.ask(after) == "owner"  # sought, for this one has not read again
    assert two.ask(before) == "owner"
    await operator.rotate(revoke_old=True)
    for process in processes:
        assert len(process.ask("load").split()) == 1
        assert process.ask(after) == "unknown key"
        assert process.ask(process.ask("token")) == "owner"
