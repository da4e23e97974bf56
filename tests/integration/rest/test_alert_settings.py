"""Who is told of what: shown, changed, tried out; and single alerts."""

from typing import Any

import asyncpg
import pytest

from crossdock import ids
from crossdock.access.permissions import PERMISSIONS
from crossdock.alerts import store as alerts
from crossdock.alerts.model import Alert
from crossdock.db import Databases

PATH = "/v1/alerts/settings"
MERGE = {"content-type": "application/merge-patch+json"}
DEFAULTS = {
    "emails": [],
    "muted": [],
    "failing_after_s": 600,
    "dead_letters_per_hour": 10,
    "refusals_per_hour": 50,
    "updated_at": None,
}


async def patch(caller: Any, body: Any, **headers: str) -> Any:
    """Send changes."""
    return await caller.http.patch(PATH, json=body, headers=MERGE | headers)


async def test_defaults_hold_until_somebody_changes_them(new_tenant: Any) -> None:
    caller = await new_tenant()
    first = await caller.http.get(PATH)
    assert (first.status_code, first.json()) == (200, DEFAULTS)
    changes = {"emails": ["Ops@Example.com", "ops@example.com"], "muted": ["quota"]}
    changed = await patch(caller, changes)
    assert changed.status_code == 200, changed.text
    assert changed.json()["emails"] == ["ops@example.com"]
    assert changed.json()["updated_at"] is not None
    assert changed.headers["etag"] != first.headers["etag"]
    second = await patch(caller, {"failing_after_s": 60, "muted": None})
    assert second.json() == (await caller.http.get(PATH)).json()
    assert (second.json()["muted"], second.json()["failing_after_s"]) == ([], 60)
    assert second.json()["emails"] == ["ops@example.com"]
    # It is in the audit, with what it was and what it is.
    entries = (await caller.http.get("/v1/audit")).json()["items"]
    found = [one["detail"] for one in entries if one["action"] == "alert-settings.update"]
    assert found[0] == {"failing_after_s": [600, 60], "muted": [["quota"], []]}
    assert len(found) == 2


async def test_a_change_is_of_what_was_read(new_tenant: Any) -> None:
    caller = await new_tenant()
    tag = (await caller.http.get(PATH)).headers["etag"]
    assert (await patch(caller, {"refusals_per_hour": 7}, **{"if-match": tag})).status_code == 200
    late = await patch(caller, {"refusals_per_hour": 8}, **{"if-match": tag})
    assert late.status_code == 412
    assert (await caller.http.get(PATH)).json()["refusals_per_hour"] == 7
    # What changes nothing is no new version.
    now = (await caller.http.get(PATH)).headers["etag"]
    same = await patch(caller, {"refusals_per_hour": 7}, **{"if-match": now})
    assert same.headers["etag"] == now


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"emails": ["nobody"]}, "/emails/0"),
        ({"emails": ["a@b.example", "x y@b.example"]}, "/emails/1"),
        ({"emails": ["=?utf-8?q?a?=@b.example"]}, "/emails/0"),
        ({"emails": [f"{n}@b.example" for n in range(11)]}, "/emails"),
        ({"muted": ["all"]}, "/muted/0"),
        ({"failing_after_s": 59}, "/failing_after_s"),
        ({"failing_after_s": 432_001}, "/failing_after_s"),
        ({"dead_letters_per_hour": 0}, "/dead_letters_per_hour"),
        ({"dead_letters_per_hour": 10_001}, "/dead_letters_per_hour"),
        ({"refusals_per_hour": 1.5}, "/refusals_per_hour"),
        ({"tenant_id": "ten_1"}, "/tenant_id"),
        ({"version": 1}, "/version"),
    ],
)
async def test_what_breaks_a_rule_changes_nothing(alice: Any, body: Any, pointer: str) -> None:
    before = (await alice.http.get(PATH)).json()
    answer = await patch(alice, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"].startswith(pointer.rpartition("/")[0])
    assert (await alice.http.get(PATH)).json() == before


async def test_reading_and_writing_are_permitted_apart(new_tenant: Any, anonymous: Any) -> None:
    reader = await new_tenant(*(PERMISSIONS - {"alerts:write"}))
    assert (await reader.http.get(PATH)).status_code == 200
    assert (await patch(reader, {"muted": []})).status_code == 403
    assert (await reader.http.post("/v1/alerts/test", json={})).status_code == 403
    writer = await new_tenant("alerts:write")
    assert (await writer.http.get(PATH)).status_code == 403
    assert (await patch(writer, {"muted": []})).status_code == 200
    assert (await anonymous.get(PATH)).status_code == 401


async def test_a_test_alert_goes_to_those_who_would_be_told(
    new_tenant: Any, admin: asyncpg.Connection
) -> None:
    caller = await new_tenant()
    await patch(caller, {"emails": ["ops@example.com"]})
    destination = {"name": "alerts", "url": "https://example.com/", "event_types": ["crossdock.*"]}
    made = await caller.http.post("/v1/destinations", json=destination)
    assert made.status_code == 201, made.text
    answer = await caller.http.post("/v1/alerts/test", json={})
    assert answer.status_code == 202, answer.text
    found = answer.json()
    assert (found["letters"], found["destinations"]) == (1, 1)
    assert (found["alert"]["kind"], found["alert"]["state"]) == ("test", "resolved")
    rows = await admin.fetch(
        "SELECT id, sealed FROM crossdock.mails WHERE tenant_id = $1", caller.tenant_id
    )
    assert len(rows) == 1
    told = "SELECT told_at, resolved_told_at FROM crossdock.alerts WHERE tenant_id = $1"
    [row] = await admin.fetch(told, caller.tenant_id)
    assert row["told_at"] is None  # a worker will
    assert row["resolved_told_at"] is not None  # of its end nobody hears
    again = await caller.http.post("/v1/alerts/test", json={})
    if again.status_code != 202:  # unless a minute began in between
        assert again.status_code == 429
        assert 1 <= int(again.headers["retry-after"]) <= 60


async def test_a_test_by_one_way_takes_no_other(new_tenant: Any, admin: asyncpg.Connection) -> None:
    caller = await new_tenant()
    await patch(caller, {"emails": ["ops@example.com"]})
    answer = await caller.http.post("/v1/alerts/test", json={"ways": ["mail"]})
    assert (answer.json()["letters"], answer.json()["destinations"]) == (1, 0)
    told = "SELECT told_at FROM crossdock.alerts WHERE tenant_id = $1"
    assert await admin.fetchval(told, caller.tenant_id) is not None
    other = await new_tenant()
    answer = await other.http.post("/v1/alerts/test", json={"ways": ["webhook"]})
    assert answer.json()["letters"] == 0
    for ways in ([], ["pigeon"], ["mail", "mail", "mail"]):
        answer = await other.http.post("/v1/alerts/test", json={"ways": ways})
        assert answer.status_code == 422


async def test_one_alert_is_shown_and_kinds_are_told_apart(
    new_tenant: Any, database: Databases
) -> None:
    caller, stranger = await new_tenant(), await new_tenant()
    made = []
    async with database.tenant(caller.tenant_id) as conn:
        for kind in ("dead_letters", "source_refusing"):
            alert = Alert(
                tenant_id=caller.tenant_id,
                id=ids.new(),
                kind=kind,
                subject="dst_1",
                level=1,
                period="",
                detail={"name": "Billing"},
                created_at=ids.time_of(ids.new()),
                resolved_at=None,
            )
            assert await alerts.add(conn, alert)
            made.append(ids.encode("alt", alert.id))
    answer = await caller.http.get("/v1/alerts", params={"kind": "source_refusing"})
    assert [one["id"] for one in answer.json()["items"]] == [made[1]]
    assert (await caller.http.get("/v1/alerts", params={"kind": "x"})).status_code == 422
    one = await caller.http.get(f"/v1/alerts/{made[0]}")
    assert (one.status_code, one.json()["kind"]) == (200, "dead_letters")
    assert (await stranger.http.get(f"/v1/alerts/{made[0]}")).status_code == 404
    for odd in (ids.encode("alt", ids.new()), "alt_x", "dst_1"):
        assert (await caller.http.get(f"/v1/alerts/{odd}")).status_code == 404
