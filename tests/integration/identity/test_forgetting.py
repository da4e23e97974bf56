"""What has ended is removed once it is of no use; what may still be of use stays."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from crossdock import ids
from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import DatabaseUnavailable
from crossdock.identity.forgetting import forget_in_control, forget_on_shard

LATER = timedelta(days=30)


class Old:
    """Puts rows of any age into one tenant, and tells which are left."""

    def __init__(self, admin: asyncpg.Connection) -> None:
        self.admin = admin
        self.tenant_id = ids.new()
        self.user_id = ids.new()
        self.now = datetime.now(UTC)

    async def insert(self, table: str, **values: Any) -> None:
        """Insert a row."""
        names = ", ".join(values)
        numbers = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        query = f"INSERT INTO crossdock.{table} ({names}) VALUES ({numbers})"  # noqa: S608
        await self.admin.execute(query, *values.values())

    async def session(self, name: str, **ends: timedelta) -> None:
        """Insert a session with a refresh token, its ends counted from now."""
        session_id = ids.new()
        moments = {"ends_at": LATER, "idle_ends_at": LATER} | ends
        await self.insert(
            "sessions",
            tenant_id=self.tenant_id,
            id=session_id,
            user_id=self.user_id,
            user_agent=name,
            **{key: self.now + after for key, after in moments.items()},
        )
        await self.insert(
            "refresh_tokens",
            tenant_id=self.tenant_id,
            hash=name.encode(),
            session_id=session_id,
            created_at=self.now - timedelta(days=80),
            used_at=self.now - timedelta(days=79),
        )

    async def left(self, table: str, column: str) -> set[Any]:
        """What is left of a column."""
        rows = await self.admin.fetch(f"SELECT {column} FROM crossdock.{table}")  # noqa: S608
        return {row[0] for row in rows}


@pytest.fixture
async def old(
    fresh_database: DatabaseSettings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[Old]:
    name = fresh_database.url.rpartition("/")[2]
    admin = await asyncpg.connect(postgres_server.admin_url(name))
    found = Old(admin)
    await found.insert("tenants", id=found.tenant_id, slug=str(found.tenant_id), name="t")
    await found.insert(
        "users", tenant_id=found.tenant_id, id=found.user_id, email="a@example.com", name="a"
    )
    yield found
    await admin.close()


async def forget(settings: DatabaseSettings, *, batch: int = 2) -> None:
    database = await Databases.open(settings, {"maintenance", "control", "operator"})
    try:
        await forget_on_shard(database.shard(0), batch=batch)
        await forget_in_control(database, batch=batch)
    finally:
        await database.close()


async def test_ended_sessions_go_with_their_tokens_and_living_ones_keep_all_of_theirs(
    old: Old, fresh_database: DatabaseSettings
) -> None:
    past, recent = timedelta(days=-8), timedelta(days=-6)
    await old.session("living")
    await old.session("ended lately", ends_at=recent, idle_ends_at=recent)
    await old.session("revoked lately", revoked_at=recent)
    for number in range(5):  # more than two batches
        await old.session(f"ended {number}", ends_at=past, idle_ends_at=past)
    await old.session("idle", idle_ends_at=past)
    await old.session("revoked", revoked_at=past)
    await forget(fresh_database)
    kept = {"living", "ended lately", "revoked lately"}
    assert await old.left("sessions", "user_agent") == kept
    assert await old.left("refresh_tokens", "hash") == {name.encode() for name in kept}


async def test_resets_and_invitations_go_when_nobody_can_use_them(
    old: Old, fresh_database: DatabaseSettings
) -> None:
    for name, days in (("valid", 1), ("lately", -0.5), ("old", -1.1)):
        await old.insert(
            "password_resets",
            tenant_id=old.tenant_id,
            hash=name.encode(),
            user_id=old.user_id,
            expires_at=old.now + timedelta(days=days),
        )
    for name, expires, accepted in (
        ("waiting@example.com", 7, None),
        ("accepted@example.com", -20, -25),
        ("accepted long ago@example.com", 7, -31),
        ("expired@example.com", -29, None),
        ("expired long ago@example.com", -31, None),
    ):
        await old.insert(
            "invitations",
            tenant_id=old.tenant_id,
            id=ids.new(),
            email=name,
            roles=["viewer"],
            token_hash=b"",
            expires_at=old.now + timedelta(days=expires),
            accepted_at=None if accepted is None else old.now + timedelta(days=accepted),
        )
    await forget(fresh_database)
    assert await old.left("password_resets", "hash") == {b"valid", b"lately"}
    assert await old.left("invitations", "split_part(email, '@', 1)") == {
        "waiting",
        "accepted",
        "expired",
    }


async def test_control_forgets_signups_throttles_and_keys(
    old: Old, fresh_database: DatabaseSettings
) -> None:
    for slug, days in (("new", 1), ("lately", -0.5), ("old", -1.1)):
        await old.insert(
            "signups",
            tenant_id=ids.new(),
            user_id=ids.new(),
            email="a@example.com",
            name="a",
            tenant_name="t",
            slug=slug,
            password_hash="x",
            token_hash=slug.encode(),
            expires_at=old.now + timedelta(days=days),
        )
    for name, hours in (("busy", 1.0), ("free", -1.1)):
        await old.insert("throttles", key=name.encode(), free_at=old.now + timedelta(hours=hours))
    before = await old.left("signing_keys", "id")
    for name, ends in (("signs", None), ("retires", 1), ("lately", -89), ("gone", -91)):
        await old.insert(
            "signing_keys",
            id=name,
            algorithm="EdDSA",
            public="{}",
            signs_from=old.now - timedelta(days=90),
            ends_at=None if ends is None else old.now + timedelta(days=ends),
        )
    await forget(fresh_database)
    assert await old.left("signups", "slug") == {"new", "lately"}
    assert await old.left("throttles", "key") == {b"busy"}
    assert await old.left("signing_keys", "id") - before == {"signs", "retires", "lately"}


async def test_a_database_that_is_away_is_said() -> None:
    with pytest.raises(DatabaseUnavailable):
        await forget(DatabaseSettings(url="postgresql://127.0.0.1:1/nowhere"))
