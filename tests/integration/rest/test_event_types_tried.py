"""A new schema, tried on the old one and on what is stored."""

from itertools import count
from typing import Any, Final
from uuid import UUID

import pytest

from crossdock import ids
from crossdock.event_types import rules
from crossdock.secrets.payloads import TenantKeys, seal_payload
from crossdock.secrets.seal import Sealer

_numbers = count(1)
SCHEMA: Final = {"type": "object", "properties": {"paid": {"type": "boolean"}}}


@pytest.fixture
async def named(alice: Any) -> tuple[str, str]:
    """A type with a schema: its name, and where it is tried."""
    name = f"tried.{next(_numbers)}"
    answer = await alice.http.post("/v1/event-types", json={"name": name, "schema": SCHEMA})
    return name, f"/v1/event-types/{answer.json()['id']}/check"


async def tried(caller: Any, path: str, schema: Any) -> Any:
    answer = await caller.http.post(path, json={"schema": schema})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_same_schema_makes_no_difference(alice: Any, named: Any) -> None:
    found = await tried(alice, named[1], SCHEMA | {"title": "Another"})
    nothing = {"looked_at": 0, "passed_over": 0, "failing": 0, "examples": []}
    assert found == {
        "compatible": True,
        "compatibility": "backward",
        "differences": [],
        "stored": nothing,
    }


async def test_each_difference_says_for_whom_it_is_one(alice: Any, named: Any) -> None:
    found = await tried(alice, named[1], {"properties": {"paid": {"const": True}}})
    told = {one["pointer"]: (one["backward"], one["full"]) for one in found["differences"]}
    assert told == {
        "/properties/paid": ("breaking", "breaking"),
        "/type": ("compatible", "breaking"),
    }
    assert found["compatible"] is False


async def test_trying_changes_nothing(alice: Any, named: Any) -> None:
    path = named[1].removesuffix("/check")
    before = await alice.http.get(path)
    await tried(alice, named[1], {"type": "string"})
    after = await alice.http.get(path)
    assert (after.text, after.headers["etag"]) == (before.text, before.headers["etag"])


async def test_stored_events_are_looked_at_newest_first(
    alice: Any, bob: Any, rows: Any, named: Any
) -> None:
    name, path = named
    stored = [
        await rows.event(alice.tenant_id, event_type=name, body=body)
        for body in (b'{"paid": true}', b'{"paid": 1}', b"not JSON", b'{"paid": "no"}', b"{}")
    ]
    await rows.event(alice.tenant_id, event_type=f"{name}.more", body=b"1")
    await rows.event(bob.tenant_id, event_type=name, body=b"2")
    found = (await tried(alice, path, SCHEMA))["stored"]
    assert {name: found[name] for name in ("looked_at", "passed_over", "failing")} == {
        "looked_at": 5,
        "passed_over": 0,
        "failing": 3,
    }
    failing = [stored[3], stored[2], stored[1]]
    assert [one["event_id"] for one in found["examples"]] == [
        ids.encode("evt", event_id) for event_id in failing
    ]
    pointers = [one["violations"][0]["pointer"] for one in found["examples"]]
    assert pointers == ["/paid", "", "/paid"]


async def test_only_the_newest_hundred_count_and_few_are_shown(
    alice: Any, admin: Any, named: Any
) -> None:
    name, path = named
    await many(admin, alice.tenant_id, name, 120, b'{"paid": 0}')
    found = (await tried(alice, path, SCHEMA))["stored"]
    assert (found["looked_at"], found["failing"], len(found["examples"])) == (100, 100, 5)


async def test_large_payloads_are_passed_over(alice: Any, admin: Any, named: Any) -> None:
    name, path = named
    large = b'{"paid": 0, "rest": "' + b"x" * (rules.SAMPLE_BYTES // 3) + b'"}'
    await many(admin, alice.tenant_id, name, 5, large)
    found = (await tried(alice, path, SCHEMA))["stored"]
    assert (found["looked_at"], found["passed_over"], found["failing"]) == (2, 3, 2)


async def test_sealed_payloads_are_opened(
    *, alice: Any, settings: Any, database: Any, admin: Any, rows: Any, named: Any
) -> None:
    name, path = named
    keys = TenantKeys(database, Sealer.from_text(settings.keys.payloads, setting=""))
    key = await keys.current(alice.tenant_id)
    for body in (b'{"paid": 0}', b'{"paid": true}'):
        event_id = ids.new()
        sealed = seal_payload(key, alice.tenant_id, event_id, body)
        await rows.event(alice.tenant_id, event_id=event_id, event_type=name, body=sealed)
        await mark(admin, event_id, key.id)
    lost = await rows.event(alice.tenant_id, event_type=name, body=b"sealed by a key that is gone")
    await mark(admin, lost, ids.new())
    found = (await tried(alice, path, SCHEMA))["stored"]
    assert (found["looked_at"], found["passed_over"], found["failing"]) == (2, 1, 1)


async def mark(admin: Any, event_id: UUID, key_id: UUID) -> None:
    """Say of an event that its payload is sealed."""
    statement = "UPDATE crossdock.events SET data_key = $2 WHERE id = $1"
    await admin.execute(statement, event_id, key_id)


async def many(admin: Any, tenant_id: UUID, name: str, number: int, body: bytes) -> None:
    """Insert many events of a type."""
    await admin.executemany(
        "INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type,"
        " content_type, traceparent, headers, body)"
        " VALUES ($1, $2, $2, 1, $3, 'application/json', '', '[]', $4)",
        [(tenant_id, ids.new(), name, body) for _ in range(number)],
    )
