"""Events that wait for their owner's word, and events found by what is in their payload."""

from typing import Any

import pytest

from crossdock import ids, native

EVENT = (
    "UPDATE crossdock.events SET status = $3, violation = $4, schema_version = 2"
    " WHERE tenant_id = $1 AND id = $2"
)
VIOLATION = '[{"pointer":"/total","detail":"is not a number"}]'


async def put(rows: Any, admin: Any, caller: Any, status: str) -> str:
    """Insert an event of a status; return its id."""
    key = await rows.event(caller.tenant_id)
    violation = VIOLATION if status not in {"accepted", "held"} else None
    await admin.execute(EVENT, caller.tenant_id, key, status, violation)
    return ids.encode("evt", key)


async def index(admin: Any, caller: Any, *pointers: str) -> None:
    """Have a source of the tenant's index values."""
    source = (await caller.http.post("/v1/sources", json={"name": "s", "scheme": "none"})).json()
    await admin.execute(
        "UPDATE crossdock.sources SET indexed_fields = $2 WHERE id = $1",
        ids.decode("src", source["id"]),
        list(pointers),
    )


async def releases(admin: Any, event: str) -> int:
    found: int = await admin.fetchval(
        "SELECT count(*) FROM crossdock.releases WHERE event_id = $1", ids.decode("evt", event)
    )
    return found


async def test_a_quarantined_event_says_why(alice: Any, rows: Any, admin: Any) -> None:
    event = await put(rows, admin, alice, "quarantined")
    shown = (await alice.http.get(f"/v1/events/{event}")).json()
    assert shown["status"] == "quarantined"
    assert shown["violations"] == [{"pointer": "/total", "detail": "is not a number"}]
    assert shown["schema_version"] == 2


async def test_a_release_is_asked_for_once(alice: Any, rows: Any, admin: Any) -> None:
    event = await put(rows, admin, alice, "quarantined")
    for _ in range(3):
        answer = await alice.http.post(f"/v1/events/{event}/release")
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "releasing"
    assert await releases(admin, event) == 1
    await put(rows, admin, alice, "released")
    await admin.execute(EVENT, alice.tenant_id, ids.decode("evt", event), "released", None)
    again = await alice.http.post(f"/v1/events/{event}/release")
    assert (again.status_code, again.json()["status"]) == (200, "released")
    assert await releases(admin, event) == 1


async def test_a_dropped_event_stays_and_is_not_released(alice: Any, rows: Any, admin: Any) -> None:
    event = await put(rows, admin, alice, "quarantined")
    for _ in range(2):
        answer = await alice.http.post(f"/v1/events/{event}/drop")
        assert (answer.status_code, answer.json()["status"]) == (200, "dropped")
    assert (await alice.http.post(f"/v1/events/{event}/release")).status_code == 409
    assert await releases(admin, event) == 0
    assert (await alice.http.get(f"/v1/events/{event}")).status_code == 200


@pytest.mark.parametrize("what", ["release", "drop"])
@pytest.mark.parametrize("status", ["accepted", "warned", "held"])
async def test_only_what_is_in_quarantine_is_decided_about(
    alice: Any, rows: Any, admin: Any, what: str, status: str
) -> None:
    event = await put(rows, admin, alice, status)
    answer = await alice.http.post(f"/v1/events/{event}/{what}")
    assert answer.status_code == 409
    assert status in answer.json()["detail"]
    assert (await alice.http.get(f"/v1/events/{event}")).json()["status"] == status


async def test_a_duplicates_id_decides_about_its_event(alice: Any, rows: Any, admin: Any) -> None:
    alias = ids.new()
    key = await rows.event(alice.tenant_id, alias_id=alias)
    await admin.execute(EVENT, alice.tenant_id, key, "quarantined", VIOLATION)
    answer = await alice.http.post(f"/v1/events/{ids.encode('evt', alias)}/release")
    assert answer.json()["id"] == ids.encode("evt", key)
    assert await releases(admin, answer.json()["id"]) == 1


@pytest.mark.parametrize("what", ["release", "drop"])
async def test_nobody_decides_about_anothers(
    alice: Any, bob: Any, rows: Any, admin: Any, what: str
) -> None:
    event = await put(rows, admin, alice, "quarantined")
    assert (await bob.http.post(f"/v1/events/{event}/{what}")).status_code == 404
    assert (await alice.http.get(f"/v1/events/{event}")).json()["status"] == "quarantined"


async def test_lists_are_filtered_by_status(new_tenant: Any, rows: Any, admin: Any) -> None:
    caller = await new_tenant()
    made = {
        status: await put(rows, admin, caller, status)
        for status in ("accepted", "warned", "held", "quarantined", "dropped", "released")
    }
    for status, event in made.items():
        answer = await caller.http.get("/v1/events", params={"status": status})
        assert [item["id"] for item in answer.json()["items"]] == [event]
    assert (await caller.http.get("/v1/events", params={"status": "lost"})).status_code == 422


async def test_lists_are_filtered_by_what_is_in_payloads(
    new_tenant: Any, rows: Any, admin: Any
) -> None:
    caller = await new_tenant()
    await index(admin, caller, "/customer", "/kind")
    events = []
    for customer, kind in (("1=2", "a"), ("1=2", "b"), ("3", "a")):
        key = await rows.event(caller.tenant_id)
        for pointer, value in (("/customer", customer), ("/kind", kind)):
            await admin.execute(
                "INSERT INTO crossdock.event_fields (tenant_id, key, id) VALUES ($1, $2, $3)",
                caller.tenant_id,
                native.field_key(pointer, value),
                key,
            )
        events.append(ids.encode("evt", key))
    first, second, third = events

    async def listed(*wanted: str, **more: Any) -> list[str]:
        query = [("payload", one) for one in wanted] + list(more.items())
        answer = await caller.http.get("/v1/events", params=query)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert await listed("/customer=1=2") == [second, first]
    assert await listed("/customer=1=2", "/kind=a") == [first]
    assert await listed("/kind=a") == [third, first]
    assert await listed("/kind=a", status="accepted") == [third, first]
    assert await listed("/kind=a", status="held") == []
    assert await listed("/customer=") == []
    page = (await caller.http.get("/v1/events?payload=/kind%3Da&limit=1")).json()
    rest = await caller.http.get(
        "/v1/events",
        params={"payload": "/kind=a", "limit": 1, "cursor": page["next_cursor"]},
    )
    assert [one["id"] for one in page["items"] + rest.json()["items"]] == [third, first]
    other = await caller.http.get(
        "/v1/events", params={"payload": "/kind=b", "cursor": page["next_cursor"]}
    )
    assert other.status_code == 422


@pytest.mark.parametrize(
    "wanted",
    [["/nothing=1"], ["kind=a"], ["/kind"], [""], ["/a=1"] * 5],
    ids=["not-indexed", "no-pointer", "no-value", "empty", "too-many"],
)
async def test_what_nothing_indexes_is_refused(alice: Any, wanted: list[str]) -> None:
    answer = await alice.http.get("/v1/events", params=[("payload", one) for one in wanted])
    assert answer.status_code == 422, answer.text
    assert {error["pointer"].partition("/")[0] for error in answer.json()["errors"]} == {"?payload"}
