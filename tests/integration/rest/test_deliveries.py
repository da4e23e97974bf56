"""Deliveries, dead letters and replays over HTTP."""

from typing import Any

import pytest

from crossdock import ids


@pytest.fixture(scope="module")
async def caller(new_tenant: Any) -> Any:
    return await new_tenant()


def _key() -> dict[str, str]:
    return {"Idempotency-Key": ids.new().hex}


async def destination_of(caller: Any) -> str:
    body = {"name": f"d {ids.new()}", "url": "https://example.com/hooks"}
    found: str = (await caller.http.post("/v1/destinations", json=body)).json()["id"]
    return found


async def delivery_of(caller: Any, rows: Any, **fields: Any) -> tuple[str, str, str]:
    """Return ids of an event, a destination and a delivery."""
    event_id = await rows.event(caller.tenant_id)
    destination = await destination_of(caller)
    key = await rows.delivery(caller.tenant_id, event_id, ids.decode("dst", destination), **fields)
    return ids.encode("evt", event_id), destination, ids.encode("dlv", key)


async def test_a_delivery_is_shown_with_its_attempts(caller: Any, rows: Any) -> None:
    event, destination, delivery = await delivery_of(caller, rows, attempts=2)
    found = (await caller.http.get(f"/v1/deliveries/{delivery}")).json()
    assert (found["event_id"], found["destination_id"]) == (event, destination)
    assert (found["state"], found["reason"]) == ("dead", "attempts_exhausted")
    assert (found["attempt_count"], found["next_attempt_at"]) == (2, None)
    first, second = found["attempts"]
    assert (first["number"], second["number"]) == (1, 2)
    assert (first["status"], first["response_body"]) == (500, "broken")
    assert first["response_headers"] == [["content-type", "text/plain"]]
    letter = (await caller.http.get(f"/v1/dead-letters/{delivery}")).json()
    assert letter == found


async def test_filters_hold_together(caller: Any, rows: Any) -> None:
    event, destination, dead = await delivery_of(caller, rows)
    _, _, delivered = await delivery_of(caller, rows, state="delivered")

    async def listed(path: str, **query: str) -> set[str]:
        answer = await caller.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return {item["id"] for item in answer.json()["items"]}

    assert await listed("/v1/deliveries", event_id=event) == {dead}
    assert await listed(f"/v1/events/{event}/deliveries") == {dead}
    assert await listed("/v1/deliveries", destination_id=destination) == {dead}
    assert await listed("/v1/deliveries", destination_id=destination, state="delivered") == set()
    assert delivered in await listed("/v1/deliveries", state="delivered")
    assert delivered not in await listed("/v1/dead-letters")
    assert dead in await listed("/v1/dead-letters", reason="attempts_exhausted")
    assert await listed("/v1/dead-letters", reason="gone") == set()
    assert await listed("/v1/dead-letters", created_before="2020-01-01T00:00:00Z") == set()


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/v1/deliveries", "state", "lost"),
        ("/v1/deliveries", "destination_id", "src_01h455vb4pex5vsknk084sn02q"),
        ("/v1/deliveries", "event_id", "evt_"),
        ("/v1/deliveries", "created_after", "now"),
        ("/v1/dead-letters", "state", "delivered"),
        ("/v1/dead-letters", "reason", "A B"),
    ],
)
async def test_a_bad_filter_is_refused(caller: Any, path: str, name: str, value: str) -> None:
    answer = await caller.http.get(path, params={name: value})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == f"?{name}"


async def test_a_replay_makes_a_new_delivery_and_ends_the_dead_letter(
    caller: Any, rows: Any
) -> None:
    event, destination, dead = await delivery_of(caller, rows)
    answer = await caller.http.post(f"/v1/deliveries/{dead}/replay")
    assert answer.status_code == 201
    made = answer.json()
    assert made["id"] != dead
    assert (made["event_id"], made["destination_id"]) == (event, destination)
    assert (made["state"], made["attempt_count"]) == ("pending", 0)
    assert answer.headers["location"] == f"/v1/deliveries/{made['id']}"
    assert (await caller.http.get(f"/v1/deliveries/{dead}")).json()["state"] == "replayed"
    assert (await caller.http.get(f"/v1/dead-letters/{dead}")).status_code == 404
    again = await caller.http.post(f"/v1/deliveries/{dead}/replay")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/conflict")


async def test_an_event_is_replayed_to_who_wants_it_now(new_tenant: Any, rows: Any) -> None:
    caller = await new_tenant()
    event = ids.encode("evt", await rows.event(caller.tenant_id))
    assert (await caller.http.post(f"/v1/events/{event}/replay")).status_code == 409
    destination = await destination_of(caller)
    answer = await caller.http.post(f"/v1/events/{event}/replay")
    assert answer.status_code == 201
    assert [item["destination_id"] for item in answer.json()["items"]] == [destination]


async def test_a_bulk_replay_is_made_shown_and_cancelled(caller: Any) -> None:
    destination = await destination_of(caller)
    wish = {"state": "dead", "destination_id": destination, "event_types": ["order.*"]}
    answer = await caller.http.post("/v1/replays", json=wish, headers=_key())
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["state"], made["replayed"]) == ("running", 0)
    assert {name: made["filter"][name] for name in wish} == wish
    path = answer.headers["location"]
    assert (await caller.http.get(path)).json() == made
    cancelled = (await caller.http.post(f"{path}/cancel")).json()
    assert cancelled["state"] == "cancelled"
    assert (await caller.http.post(f"{path}/cancel")).json() == cancelled


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"state": "pending"}, "/state"),
        ({"destination_id": "x"}, "/destination_id"),
        ({"source_id": "dst_01h455vb4pex5vsknk084sn02q"}, "/source_id"),
        ({"created_after": "2026-01-01T00:00:00"}, "/created_after"),
        (
            {"created_after": "2026-01-02T00:00:00Z", "created_before": "2026-01-01T00:00:00Z"},
            "/created_before",
        ),
        ({"last_status": 42}, "/last_status"),
        ({"event_types": ["\n"]}, "/event_types/0"),
        ({"matched": 1}, "/matched"),
    ],
)
async def test_a_bad_wish_is_refused(caller: Any, wish: dict[str, Any], pointer: str) -> None:
    answer = await caller.http.post("/v1/replays", json=wish, headers=_key())
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
