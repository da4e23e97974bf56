"""Cancelling over HTTP: one, some, and all that waits."""

from typing import Any

from crossdock import ids
from tests.integration.rest.test_batches import delivery_of


async def test_one_is_cancelled_and_to_repeat_it_changes_nothing(alice: Any, rows: Any) -> None:
    *_, pending = await delivery_of(alice, rows, state="pending")
    first = await alice.http.post(f"/v1/deliveries/{pending}/cancel")
    assert first.status_code == 200, first.text
    assert (first.json()["state"], first.json()["reason"]) == ("cancelled", "cancelled_by_owner")
    assert first.json()["next_attempt_at"] is None
    again = await alice.http.post(f"/v1/deliveries/{pending}/cancel")
    assert (again.status_code, again.json()) == (200, first.json())
    shown = await alice.http.get(f"/v1/deliveries/{pending}")
    assert shown.json()["state"] == "cancelled"


async def test_each_item_of_a_batch_is_answered_as_if_it_were_alone(
    alice: Any, bob: Any, rows: Any
) -> None:
    *_, dead = await delivery_of(alice, rows)
    *_, delivered = await delivery_of(alice, rows, state="delivered")
    *_, pending = await delivery_of(alice, rows, state="pending")
    *_, foreign = await delivery_of(bob, rows)
    unknown = ids.encode("dlv", ids.new())
    asked = [unknown, dead, delivered, foreign, pending]
    answer = await alice.http.post("/v1/deliveries/cancel", json={"ids": asked})
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [item["id"] for item in items] == asked
    assert [item["status"] for item in items] == [404, 200, 409, 404, 200]
    assert items[1]["delivery"]["reason"] == "discarded_by_owner"
    assert items[2]["problem"]["type"].endswith("/conflict")
    unchanged = await bob.http.get(f"/v1/deliveries/{foreign}")
    assert unchanged.json()["state"] == "dead"
    none_left = await alice.http.get("/v1/dead-letters", params={"limit": 100})
    assert dead not in [item["id"] for item in none_left.json()["items"]]


async def test_a_batch_names_each_once_and_at_most_a_hundred(alice: Any) -> None:
    one = ids.encode("dlv", ids.new())
    twice = await alice.http.post("/v1/deliveries/cancel", json={"ids": [one, one]})
    assert twice.status_code == 422
    many = [ids.encode("dlv", ids.new()) for _ in range(101)]
    too_many = await alice.http.post("/v1/deliveries/cancel", json={"ids": many})
    assert too_many.status_code == 422


async def test_all_that_waits_for_a_destination(alice: Any, bob: Any, rows: Any) -> None:
    event, destination, pending = await delivery_of(alice, rows, state="pending")
    key = ids.decode("dst", destination)
    event_id = ids.decode("evt", event)
    dead = await rows.delivery(alice.tenant_id, event_id, key)
    where = f"/v1/destinations/{destination}/cancel-pending"
    assert (await bob.http.post(where)).status_code == 404
    answer = await alice.http.post(where)
    assert (answer.status_code, answer.json()) == (200, {"cancelled": 1, "has_more": False})
    assert (await alice.http.post(where)).json() == {"cancelled": 0, "has_more": False}
    assert (await alice.http.get(f"/v1/deliveries/{pending}")).json()["state"] == "cancelled"
    kept = await alice.http.get(f"/v1/deliveries/{ids.encode('dlv', dead)}")
    assert kept.json()["state"] == "dead", "dead letters stay"
