"""Limits on tries as all processes share them: on a real database, by its clock."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import TooManyRequests
from crossdock.identity.throttle import LOGIN_BY_ACCOUNT, Limit, Throttle, rules

HOUR: Final = Limit(burst=3, every_s=3600.0)


@pytest.fixture(scope="module")
async def admin(
    fresh_database: DatabaseSettings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[asyncpg.Connection]:
    name = fresh_database.url.rpartition("/")[2]
    connection = await asyncpg.connect(postgres_server.admin_url(name))
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def databases(fresh_database: DatabaseSettings) -> AsyncIterator[Databases]:
    opened = await Databases.open(fresh_database, {"control"})
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def throttle(databases: Databases) -> Throttle:
    return Throttle(databases)


async def refused(throttle: Throttle, subject: str, limit: Limit = HOUR) -> float:
    with pytest.raises(TooManyRequests) as error:
        await throttle.take("test", subject, limit)
    return error.value.retry_after_s


async def test_a_burst_passes_and_then_one_waits(throttle: Throttle) -> None:
    for _ in range(LOGIN_BY_ACCOUNT.burst):
        await throttle.take("test", "ann", LOGIN_BY_ACCOUNT)
    assert 30 < await refused(throttle, "ann", LOGIN_BY_ACCOUNT) <= 60
    assert 30 < await refused(throttle, "ann", LOGIN_BY_ACCOUNT) <= 60  # refusals don't count
    await throttle.take("test", "bob", LOGIN_BY_ACCOUNT)
    await throttle.take("another purpose", "ann", LOGIN_BY_ACCOUNT)


async def test_of_many_at_once_only_the_burst_passes(throttle: Throttle) -> None:
    tries = [throttle.take("test", "at once", HOUR) for _ in range(50)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == HOUR.burst
    waits = [one.retry_after_s for one in outcomes if isinstance(one, TooManyRequests)]
    assert len(waits) == 50 - HOUR.burst
    assert all(0 < wait <= HOUR.every_s for wait in waits)


async def test_one_that_was_right_clears_the_others(throttle: Throttle) -> None:
    for _ in range(HOUR.burst):
        await throttle.take("test", "cleared", HOUR)
    await refused(throttle, "cleared")
    await throttle.clear("test", "cleared")
    await throttle.take("test", "cleared", HOUR)


@given(
    burst=st.integers(1, 20),
    every_s=st.integers(100, 1000),
    ahead_s=st.none() | st.integers(-2000, 20_000).map(lambda n: n + 0.5),
)
@examples(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_the_statement_says_what_the_rule_says(
    throttle: Throttle, admin: Any, burst: int, every_s: int, ahead_s: float | None
) -> None:
    """With moments half a second off any bound, so that the clock's going on does not matter."""
    limit = Limit(burst, float(every_s))
    key = rules.key_of("test", "rule")
    await admin.execute("DELETE FROM crossdock.throttles")
    if ahead_s is not None:
        await admin.execute(
            "INSERT INTO crossdock.throttles VALUES ($1, now() + $2 * interval '1 s')", key, ahead_s
        )
    taken, wait = rules.take(ahead_s, 0.0, limit)
    if taken is None:
        assert abs(await refused(throttle, "rule", limit) - wait) < 0.5
        taken = ahead_s
    else:
        await throttle.take("test", "rule", limit)
    left = await admin.fetchval(
        "SELECT extract(epoch FROM free_at - clock_timestamp()) FROM crossdock.throttles"
    )
    assert abs(float(left) - (taken or 0.0)) < 0.5


async def test_what_limits_nothing_any_more_is_forgotten(throttle: Throttle, admin: Any) -> None:
    await admin.execute("DELETE FROM crossdock.throttles")
    await throttle.take("test", "recent", HOUR)
    await admin.execute(
        "INSERT INTO crossdock.throttles"
        " SELECT sha256(n::text::bytea), now() - interval '1 s' FROM generate_series(1, 25000) n"
    )
    assert await throttle.forget() == 25_000
    assert await admin.fetchval("SELECT count(*) FROM crossdock.throttles") == 1
    assert await throttle.forget() == 0


async def test_no_subject_is_readable_in_the_table(throttle: Throttle, admin: Any) -> None:
    await throttle.take("test", "ann@example.com", HOUR)
    rows = await admin.fetch("SELECT t::text AS text FROM crossdock.throttles AS t")
    assert rows
    assert not [row for row in rows if "ann" in row["text"]]
