"""What is done of many things at once is answered for item by item."""

import asyncio
from typing import Any

import httpx
import pytest

from crossdock import ids

PATH = "/v1/deliveries/replay"
IS_WAITED_FOR = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    " AND transactionid = pg_current_xact_id()::xid)"
)
"""Whether somebody waits for the end of this transaction."""


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


async def replay(caller: Any, *keys: str) -> httpx.Response:
    answer: httpx.Response = await caller.http.post(PATH, json={"ids": list(keys)})
    return answer


async def test_each_item_is_answered_as_if_it_were_alone(
    alice: Any, bob: Any, rows: Any, admin: Any
) -> None:
    event, destination, dead = await delivery_of(alice, rows)
    *_, delivered = await delivery_of(alice, rows, state="delivered")
    *_, pending = await delivery_of(alice, rows, state="pending")
    _, gone, aimless = await delivery_of(alice, rows)
    await alice.http.delete(f"/v1/destinations/{gone}")
    lost, _, empty = await delivery_of(alice, rows)
    await admin.execute("DELETE FROM crossdock.events WHERE id = $1", ids.decode("evt", lost))
    *_, foreign = await delivery_of(bob, rows)
    unknown = ids.encode("dlv", ids.new())

    asked = [unknown, dead, pending, aimless, foreign, delivered, empty]
    answer = await replay(alice, *asked)
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [item["index"] for item in items] == list(range(len(asked)))
    assert [item["id"] for item in items] == asked
    assert [item["status"] for item in items] == [404, 201, 409, 409, 404, 201, 409]

    made = items[1]["delivery"]
    assert (made["event_id"], made["destination_id"]) == (event, destination)
    assert (made["state"], made["attempt_count"]) == ("pending", 0)
    assert (await alice.http.get(f"/v1/deliveries/{made['id']}")).status_code == 200
    assert (await alice.http.get(f"/v1/deliveries/{dead}")).json()["state"] == "replayed"
    assert (await alice.http.get(f"/v1/deliveries/{delivered}")).json()["state"] == "delivered"
    assert (await bob.http.get(f"/v1/deliveries/{foreign}")).json()["state"] == "dead"
    for key, item in zip(asked, items, strict=True):
        if item["status"] == 201:
            assert "problem" not in item
            continue
        assert "delivery" not in item
        alone = await alice.http.post(f"/v1/deliveries/{key}/replay")
        path = f"/v1/deliveries/{key}"
        assert item["problem"] == alone.json() | {"instance": path}
        assert item["problem"]["status"] == item["status"] == alone.status_code


async def test_a_batch_of_nothing_that_is_there_makes_nothing(alice: Any) -> None:
    keys = [ids.encode("dlv", ids.new()) for _ in range(100)]
    items = (await replay(alice, *keys)).json()["items"]
    assert [item["status"] for item in items] == [404] * 100


async def test_two_equal_batches_at_once_make_each_delivery_once(alice: Any, rows: Any) -> None:
    keys = [(await delivery_of(alice, rows))[2] for _ in range(5)]
    answers = await asyncio.gather(
        replay(alice, *keys), replay(alice, *keys[::-1]), replay(alice, *keys)
    )
    outcomes = [(item["id"], item["status"]) for one in answers for item in one.json()["items"]]
    assert sorted(key for key, status in outcomes if status == 201) == sorted(keys)
    assert [status for _, status in outcomes].count(409) == 10


async def test_what_somebody_is_replaying_is_waited_for(alice: Any, rows: Any, admin: Any) -> None:
    *_, dead = await delivery_of(alice, rows)
    async with admin.transaction():
        await admin.execute(
            "UPDATE crossdock.deliveries SET state = 'replayed' WHERE id = $1",
            ids.decode("dlv", dead),
        )
        asked = asyncio.create_task(replay(alice, dead))
        while not asked.done() and not await admin.fetchval(IS_WAITED_FOR):
            await asyncio.sleep(0.01)
    (item,) = (await asked).json()["items"]
    assert item["status"] == 409


A, B = (ids.encode("dlv", ids.new()) for _ in range(2))


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/ids"]),
        ({"ids": []}, ["/ids"]),
        ({"ids": [A] * 101}, ["/ids"]),
        ({"ids": [A, 1]}, ["/ids/1"]),
        ({"ids": [A, "evt_01h455vb4pex5vsknk084sn02q"]}, ["/ids/1"]),
        ({"ids": [A, B, A, B, B]}, ["/ids/2", "/ids/3", "/ids/4"]),
        ({"ids": [A], "state": "dead"}, ["/state"]),
    ],
)
async def test_what_is_no_batch_is_refused_as_a_whole(
    alice: Any, body: dict[str, Any], pointers: list[str]
) -> None:
    answer = await alice.http.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers


async def test_a_batch_needs_the_right_to_write(new_tenant: Any) -> None:
    reader = await new_tenant("deliveries:read")
    assert (await replay(reader, A)).status_code == 403
    assert (await reader.http.get(PATH)).status_code in {404, 405}
