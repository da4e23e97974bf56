"""What a tenant reads of its alerts and of its audit."""

from typing import Any

import asyncpg
import pytest

from crossdock import ids
from crossdock.access.permissions import PERMISSIONS
from crossdock.alerts import store as alerts
from crossdock.alerts.model import Alert
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.db import Databases


@pytest.fixture(scope="module")
async def told(new_tenant: Any, database: Databases, admin: asyncpg.Connection) -> Any:
    """A tenant with five alerts, every second of them resolved."""
    caller = await new_tenant()
    async with database.tenant(caller.tenant_id) as conn:
        for number in range(5):
            alert = Alert(
                tenant_id=caller.tenant_id,
                id=ids.new(),
                kind="quota",
                subject=f"s{number}",
                level=80,
                period="2026-11-23" if number else "",
                detail={"used": 8, "limit": 10},
                created_at=ids.time_of(ids.new()),
                resolved_at=None,
            )
            assert await alerts.add(conn, alert)
            if number % 2:
                await alerts.resolve(conn, caller.tenant_id, "quota", f"s{number}")
    return caller


async def subjects(caller: Any, **parameters: Any) -> list[str]:
    """The subjects of all pages of alerts."""
    found: list[str] = []
    while True:
        answer = await caller.http.get("/v1/alerts", params=parameters)
        assert answer.status_code == 200, answer.text
        found += [item["subject"] for item in answer.json()["items"]]
        if answer.json()["next_cursor"] is None:
            return found
        parameters["cursor"] = answer.json()["next_cursor"]


async def test_alerts_are_listed_newest_first(told: Any) -> None:
    assert await subjects(told, limit=2) == ["s4", "s3", "s2", "s1", "s0"]
    assert await subjects(told, state="open", limit=2) == ["s4", "s2", "s0"]
    assert await subjects(told, state="resolved", limit=1) == ["s3", "s1"]
    [first, second, *_] = (await told.http.get("/v1/alerts")).json()["items"]
    assert first["id"].startswith("alt_")
    assert (first["state"], first["resolved_at"]) == ("open", None)
    assert (second["state"], second["resolved_at"] is None) == ("resolved", False)
    assert (first["detail"], first["period"]) == ({"used": 8, "limit": 10}, "2026-11-23")
    last = (await told.http.get("/v1/alerts")).json()["items"][-1]
    assert last["period"] is None
    assert (await told.http.get("/v1/alerts", params={"state": "gone"})).status_code == 422


@pytest.mark.parametrize("resource", ["alerts", "audit"])
async def test_both_are_for_those_who_may_and_for_nobody_else(
    new_tenant: Any, told: Any, anonymous: Any, resource: str
) -> None:
    assert (await anonymous.get(f"/v1/{resource}")).status_code == 401
    others = PERMISSIONS - {f"{resource}:read"}
    assert (await (await new_tenant(*others)).http.get(f"/v1/{resource}")).status_code == 403
    reader = await new_tenant(f"{resource}:read")
    answer = await reader.http.get(f"/v1/{resource}")
    assert answer.status_code == 200
    theirs = {item["id"] for item in answer.json()["items"]}
    ours = await told.http.get(f"/v1/{resource}")
    assert not theirs & {item["id"] for item in ours.json()["items"]}


@pytest.fixture(scope="module")
async def watched(new_tenant: Any, database: Databases) -> Any:
    """A tenant with a history: its caller, a user and a key."""
    caller = await new_tenant()
    user, key = ids.new(), ids.new()
    history = [
        Entry(action="user.login", actor_kind="user", actor_id=user, address="192.0.2.1"),
        Entry(action="user.login.refused", actor_kind="anonymous", detail={"reason": "password"}),
        Entry(action="users_.odd", actor_kind="system"),
        Entry(action="role.create", actor_kind="key", actor_id=key, target="rol_1"),
        Entry(action="user.disable", actor_kind="operator", actor_id=user, target="usr_1"),
    ]
    async with database.tenant(caller.tenant_id) as conn:
        for entry in history:
            await audit.add(conn, caller.tenant_id, entry)
    return caller, user, key


async def actions(caller: Any, **parameters: Any) -> list[str]:
    """The actions of all pages of the audit that this test wrote."""
    found: list[str] = []
    while True:
        answer = await caller.http.get("/v1/audit", params=parameters)
        assert answer.status_code == 200, answer.text
        found += [item["action"] for item in answer.json()["items"]]
        if answer.json()["next_cursor"] is None:
            return found
        parameters["cursor"] = answer.json()["next_cursor"]


async def test_the_audit_is_listed_newest_first_and_filtered(watched: Any) -> None:
    caller, user, key = watched
    everything = ["user.disable", "role.create", "users_.odd", "user.login.refused", "user.login"]
    assert (await actions(caller, limit=2))[:5] == everything
    assert await actions(caller, action="user.login") == ["user.login"]
    of_users = ["user.disable", "user.login.refused", "user.login"]
    assert await actions(caller, action="user.", limit=1) == of_users
    # An underscore is no wildcard.
    assert await actions(caller, action="users_.") == ["users_.odd"]
    assert await actions(caller, action="user_.") == []
    wanted = {"actor_id": ids.encode("usr", user)}
    assert await actions(caller, **wanted) == ["user.disable", "user.login"]
    assert await actions(caller, **wanted, action="user.login") == ["user.login"]
    assert await actions(caller, actor_id=ids.encode("key", key)) == ["role.create"]
    assert await actions(caller, actor_id=ids.encode("usr", ids.new())) == []


async def test_an_entry_says_who_what_where_and_when(watched: Any) -> None:
    caller, user, key = watched
    items = (await caller.http.get("/v1/audit")).json()["items"]
    disabled, made, _, refused, login = items[:5]
    assert login["actor"] == {"kind": "user", "id": ids.encode("usr", user)}
    assert login["address"] == "192.0.2.1"
    assert refused["actor"] == {"kind": "anonymous", "id": None}
    assert refused["detail"] == {"reason": "password"}
    assert made["actor"] == {"kind": "key", "id": ids.encode("key", key)}
    assert made["target"] == "rol_1"
    assert disabled["actor"] == {"kind": "operator", "id": ids.encode("usr", user)}
    assert login["id"].startswith("aud_")
    assert login["created_at"].endswith("Z")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("action", "USER"),
        ("action", "a..b"),
        ("action", "x" * 65),
        ("action", "%"),
        ("actor_id", "usr_1"),
        ("actor_id", "ten_01h455vb4pex5vsknk084sn02q"),
        ("cursor", "x" * 44),
        ("tenant_id", "x"),
    ],
)
async def test_a_filter_that_is_none_is_refused(watched: Any, name: str, text: str) -> None:
    caller, _, _ = watched
    answer = await caller.http.get("/v1/audit", params={name: text})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"?{name}"


async def test_a_cursor_of_one_filter_is_none_of_another(watched: Any) -> None:
    caller, _, _ = watched
    page = (await caller.http.get("/v1/audit", params={"limit": 1, "action": "user."})).json()
    parameters = {"cursor": page["next_cursor"], "action": "role."}
    assert (await caller.http.get("/v1/audit", params=parameters)).status_code == 422
