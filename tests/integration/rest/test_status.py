"""How deliveries do, over HTTP: timelines, statistics, dead letters in numbers, replays as jobs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossdock import ids
from tests.integration.rest.test_deliveries import delivery_of, destination_of


@pytest.fixture(scope="module")
async def caller(new_tenant: Any) -> Any:
    return await new_tenant()


def _key() -> dict[str, str]:
    return {"Idempotency-Key": ids.new().hex}


async def started(caller: Any, **wish: Any) -> Any:
    """Return a replay, as it is answered when it is made."""
    answer = await caller.http.post("/v1/replays", json=wish, headers=_key())
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_timeline_is_shown_by_the_events_id_or_a_duplicates(caller: Any, rows: Any) -> None:
    alias = ids.new()
    event = await rows.event(caller.tenant_id, alias_id=alias)
    destination = await destination_of(caller)
    await rows.delivery(caller.tenant_id, event, ids.decode("dst", destination), attempts=2)
    path = f"/v1/events/{ids.encode('evt', event)}/timeline"
    found = (await caller.http.get(path)).json()
    kinds = [one["type"] for one in found["entries"]]
    assert kinds.count("attempt") == 2
    assert {"received", "stored", "replayed", "dead"} <= set(kinds)
    attempt = next(one["attempt"] for one in found["entries"] if one["attempt"])
    assert (attempt["status"], attempt["response_body"]) == (500, "broken")
    assert attempt["request_headers"] == []
    other = await caller.http.get(f"/v1/events/{ids.encode('evt', alias)}/timeline")
    assert other.json() == found
    assert (await caller.http.get(f"/v1/events/{destination}/timeline")).status_code == 404


async def test_attempts_by_a_clock_that_is_behind_are_shown(
    caller: Any, rows: Any, admin: Any
) -> None:
    made = (await caller.http.post("/v1/destinations", json={"name": "d", "kind": "inbox"})).json()
    event = await rows.event(caller.tenant_id)
    delivery = await rows.delivery(caller.tenant_id, event, ids.decode("dst", made["id"]))
    hour_ago = ids.floor(datetime.now(UTC) - timedelta(hours=1))
    await admin.execute(
        "UPDATE crossdock.attempts SET id = $1 WHERE delivery_id = $2", hour_ago, delivery
    )
    shown = await caller.http.get(f"/v1/deliveries/{ids.encode('dlv', delivery)}")
    assert len(shown.json()["attempts"]) == 1
    story = await caller.http.get(f"/v1/events/{ids.encode('evt', event)}/timeline")
    assert "attempt" in {one["type"] for one in story.json()["entries"]}


async def test_long_answers_are_cut_between_letters_and_secrets_hidden(
    caller: Any, rows: Any, admin: Any
) -> None:
    event = await rows.event(caller.tenant_id)
    delivery = await rows.delivery(caller.tenant_id, event, ids.new())
    await admin.execute(
        "UPDATE crossdock.attempts SET response_body = $2, request_body = $3, request_headers = $4"
        " WHERE delivery_id = $1",
        delivery,
        ("x" + "é" * 2000).encode(),
        b"\xff" * 5000,
        b'[["Webhook-Id","evt_1"],["Authorization","Bearer abc"],["X-Api-Key","abc"]]',
    )
    shown = (await caller.http.get(f"/v1/events/{ids.encode('evt', event)}/timeline")).json()
    attempt = next(one["attempt"] for one in shown["entries"] if one["attempt"])
    assert attempt["response_body"] == "x" + "é" * 511
    assert attempt["request_body"] is None
    assert len(attempt["request_body_base64"]) < 1400
    hidden = [["Webhook-Id", "evt_1"], ["Authorization", "***"], ["X-Api-Key", "***"]]
    assert attempt["request_headers"] == hidden
    whole = (await caller.http.get(f"/v1/deliveries/{ids.encode('dlv', delivery)}")).json()
    assert whole["attempts"][0]["response_body"] == "x" + "é" * 2000
    assert whole["attempts"][0]["request_headers"] == hidden


async def test_a_destinations_hours_are_shown(caller: Any, admin: Any) -> None:
    destination = await destination_of(caller)
    await admin.execute(
        "INSERT INTO crossdock.destination_stats"
        " VALUES ($1, $2, date_trunc('hour', now()), 3, 1, 1, '{4}')",
        caller.tenant_id,
        ids.decode("dst", destination),
    )
    path = f"/v1/destinations/{destination}/stats"
    found = (await caller.http.get(path)).json()
    assert len(found["hours"]) == 24
    total = found["total"]
    assert (total["delivered"], total["failed"], total["dead"]) == (3, 1, 1)
    assert (total["success_rate"], total["p50_ms"], total["p99_ms"]) == (0.75, 1.0, 1.0)
    assert found["hours"][-1]["delivered"] + found["hours"][-2]["delivered"] == 3
    assert found["backlog"]["pending"] == 0
    assert len((await caller.http.get(path, params={"hours": 168})).json()["hours"]) == 168
    for hours in (0, 169):
        answer = await caller.http.get(path, params={"hours": hours})
        assert answer.status_code == 422
    gone = f"/v1/destinations/{ids.encode('dst', ids.new())}/stats"
    assert (await caller.http.get(gone)).status_code == 404


async def test_dead_letters_are_counted_by_reason_and_destination(
    new_tenant: Any, rows: Any, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await new_tenant()
    _, first, _ = await delivery_of(caller, rows)
    _, _, delivered = await delivery_of(caller, rows, state="delivered")
    event = await rows.event(caller.tenant_id)
    for _ in range(2):
        key = await rows.delivery(caller.tenant_id, event, ids.decode("dst", first))
        await admin.execute("UPDATE crossdock.deliveries SET reason = 'gone' WHERE id = $1", key)
    _, second, _ = await delivery_of(caller, rows)
    path = "/v1/dead-letters/summary"
    found = (await caller.http.get(path)).json()
    assert (found["total"], found["is_capped"]) == (4, False)
    counts = {one["reason"]: one["count"] for one in found["reasons"]}
    assert counts == {"attempts_exhausted": 2, "gone": 2}
    assert found["destinations"] == [
        {"destination_id": first, "count": 3},
        {"destination_id": second, "count": 1},
    ]
    gone = (await caller.http.get(path, params={"reason": "gone"})).json()
    assert (gone["total"], gone["reasons"]) == (2, [{"reason": "gone", "count": 2}])
    one = (await caller.http.get(path, params={"destination_id": second})).json()
    assert one["total"] == 1
    none = (await caller.http.get(path, params={"created_before": "2020-01-01T00:00:00Z"})).json()
    assert (none["total"], none["reasons"]) == (0, [])
    monkeypatch.setattr("crossdock.delivery.service.MOST_COUNTED", 3)
    capped = (await caller.http.get(path)).json()
    assert capped["is_capped"]
    assert (await caller.http.get(f"/v1/dead-letters/{delivered}")).status_code == 404


async def test_a_replay_is_paused_resumed_and_cancelled(caller: Any) -> None:
    made = await started(caller, state="all")
    path = f"/v1/replays/{made['id']}"
    assert (made["state"], made["seen"], made["progress"]) == ("running", 0, 0)
    assert made["waiting_for"] is None
    for change, state in (
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "running"),
        ("resume", "running"),
        ("pause", "paused"),
        ("cancel", "cancelled"),
        ("cancel", "cancelled"),
    ):
        answer = await caller.http.post(f"{path}/{change}")
        assert (answer.status_code, answer.json()["state"]) == (200, state)
        assert (await caller.http.get(path)).json() == answer.json()
    for change in ("pause", "resume"):
        answer = await caller.http.post(f"{path}/{change}")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")


async def test_what_a_replay_takes_by_default(caller: Any, rows: Any) -> None:
    event, _, delivery = await delivery_of(caller, rows)
    assert (await started(caller))["filter"]["state"] == "dead"
    chosen = await started(caller, delivery_ids=[delivery, delivery])
    assert chosen["filter"]["state"] is None
    assert chosen["filter"]["delivery_ids"] == [delivery]
    assert (await started(caller, event_ids=[event]))["filter"]["state"] == "all"
    destination = await destination_of(caller)
    await caller.http.post(f"/v1/destinations/{destination}/disable")
    await caller.http.post(f"/v1/destinations/{destination}/enable")
    missed = await started(caller, state="missed", destination_id=destination)
    assert missed["filter"]["created_after"] is not None, "since it was disabled"


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"state": "missed"}, "/destination_id"),
        (
            {"state": "missed", "destination_id": "dst_01h455vb4pex5vsknk084sn02q"},
            "/destination_id",
        ),
        ({"event_ids": ["dlv_01h455vb4pex5vsknk084sn02q"]}, "/event_ids/0"),
        ({"state": "dead", "event_ids": ["evt_01h455vb4pex5vsknk084sn02q"]}, "/event_ids"),
        ({"state": "all", "delivery_ids": ["dlv_01h455vb4pex5vsknk084sn02q"]}, "/delivery_ids"),
        ({"state": "all", "last_status": 500}, "/last_status"),
        ({"delivery_ids": ["dlv_01h455vb4pex5vsknk084sn02q"] * 1001}, "/delivery_ids"),
    ],
)
async def test_a_bad_wish_is_refused(caller: Any, wish: dict[str, Any], pointer: str) -> None:
    answer = await caller.http.post("/v1/replays", json=wish, headers=_key())
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
