"""What a tenant reads of retention."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from crossdock import ids

DAY = timedelta(days=1)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
async def told(new_tenant: Any, admin: asyncpg.Connection) -> Any:
    """A tenant of whom events went on three days."""
    caller = await new_tenant()
    for number in range(3):
        await admin.execute(
            "INSERT INTO crossdock.retention_drops"
            " (tenant_id, id, begins, ends, events, bytes, kept, dropped_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            caller.tenant_id,
            ids.new(),
            FIRST + number * DAY,
            FIRST + (number + 1) * DAY,
            10 + number,
            2**40,
            number,
            FIRST + 31 * DAY,
        )
    return caller


async def test_the_policy_is_told(told: Any) -> None:
    answer = await told.http.get("/v1/retention")
    assert (answer.status_code, answer.json()) == (200, {"days": 30})


async def test_what_went_is_listed_newest_first(told: Any) -> None:
    found: list[dict[str, Any]] = []
    parameters: dict[str, Any] = {"limit": 2}
    while True:
        answer = await told.http.get("/v1/retention/drops", params=parameters)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert [one["events"] for one in found] == [12, 11, 10]
    assert found[0] == {
        "begins": "2026-01-03T00:00:00Z",
        "ends": "2026-01-04T00:00:00Z",
        "events": 12,
        "bytes": 2**40,
        "kept": 2,
        "dropped_at": "2026-02-01T00:00:00Z",
    }


async def test_it_is_for_those_who_may_read_events_and_of_their_own_tenant(
    told: Any, new_tenant: Any, anonymous: Any
) -> None:
    del told
    other, writer = await new_tenant(), await new_tenant("events:write")
    for path in ("/v1/retention", "/v1/retention/drops"):
        assert (await anonymous.get(path)).status_code == 401
        assert (await writer.http.get(path)).status_code == 403
    found = (await other.http.get("/v1/retention/drops")).json()
    assert found == {"items": [], "next_cursor": None}
