"""Lists, page by page."""

from typing import Any

import pytest

from crossdock import ids

TOTAL = 7


@pytest.fixture(scope="module")
async def caller(new_tenant: Any, rows: Any) -> Any:
    """A tenant with some of everything that is listed."""
    found = await new_tenant()
    for number in range(TOTAL):
        source = {"name": f"s{number}", "scheme": "none"}
        assert (await found.http.post("/v1/sources", json=source)).status_code == 201
        destination = {"name": f"d{number}", "url": "https://example.com/hooks"}
        answer = await found.http.post("/v1/destinations", json=destination)
        assert answer.status_code == 201
        if number:  # there is one already
            key = {"name": f"k{number}", "permissions": ["events:read"]}
            assert (await found.http.post("/v1/api-keys", json=key)).status_code == 201
        key = {"Idempotency-Key": f"replay-{number}"}
        answered = await found.http.post("/v1/replays", json={}, headers=key)
        assert answered.status_code == 201
        event_id = await rows.event(found.tenant_id)
        destination_id = ids.decode("dst", answer.json()["id"])
        await rows.delivery(found.tenant_id, event_id, destination_id)
    return found


LISTS = ["sources", "destinations", "api-keys", "replays", "events", "deliveries", "dead-letters"]


@pytest.mark.parametrize("resource", LISTS)
@pytest.mark.parametrize("limit", [1, 3, TOTAL, 200])
async def test_pages_follow_one_another_without_gap_or_repeat(
    caller: Any, resource: str, limit: int
) -> None:
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await caller.http.get(f"/v1/{resource}", params={"limit": limit, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert set(page) == {"items", "next_cursor"}
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == limit
        cursor = {"cursor": page["next_cursor"]}
    assert len(seen) == TOTAL
    assert seen == sorted(seen, reverse=True), "newest first"


async def test_what_is_made_meanwhile_shifts_nothing(new_tenant: Any, rows: Any) -> None:
    caller = await new_tenant()
    made = [ids.encode("evt", await rows.event(caller.tenant_id)) for _ in range(4)]
    first = (await caller.http.get("/v1/events", params={"limit": 2})).json()
    await rows.event(caller.tenant_id)
    second = await caller.http.get("/v1/events", params={"cursor": first["next_cursor"]})
    seen = [item["id"] for page in (first, second.json()) for item in page["items"]]
    assert seen == made[::-1]


async def test_a_cursor_is_good_for_its_list_its_tenant_and_its_filter_only(
    caller: Any, alice: Any
) -> None:
    page = (await caller.http.get("/v1/events", params={"limit": 1})).json()
    cursor = page["next_cursor"]
    for client, path, extra in (
        (caller.http, "/v1/sources", {}),
        (caller.http, "/v1/events", {"event_type": "x"}),
        (alice.http, "/v1/events", {}),
    ):
        answer = await client.get(path, params={"cursor": cursor, **extra})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "?cursor"
    assert (await caller.http.get("/v1/events", params={"cursor": cursor})).status_code == 200


async def test_an_altered_cursor_is_refused(caller: Any) -> None:
    page = (await caller.http.get("/v1/events", params={"limit": 1})).json()
    cursor = page["next_cursor"]
    for position in range(0, len(cursor) - 1, 3):
        other = "A" if cursor[position] != "A" else "B"
        changed = cursor[:position] + other + cursor[position + 1 :]
        answer = await caller.http.get("/v1/events", params={"cursor": changed})
        assert answer.status_code == 422


async def test_dead_letters_and_dead_deliveries_are_the_same_list(caller: Any) -> None:
    letters = (await caller.http.get("/v1/dead-letters", params={"limit": 200})).json()
    dead = await caller.http.get("/v1/deliveries", params={"limit": 200, "state": "dead"})
    assert letters["items"] == dead.json()["items"]
