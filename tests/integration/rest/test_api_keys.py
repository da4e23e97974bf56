"""API keys over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossdock import ids
from crossdock.access.permissions import PERMISSIONS


async def test_a_made_key_works_and_is_shown_once(alice: Any, connect: Any, admin: Any) -> None:
    body = {"name": "reader", "permissions": ["events:read", "api-keys:read"]}
    answer = await alice.http.post("/v1/api-keys", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert made["key"].startswith("cdk_test_")
    assert made["permissions"] == ["api-keys:read", "events:read"]
    reader = connect(made["key"])
    assert (await reader.get("/v1/events")).status_code == 200
    shown = await reader.get(answer.headers["location"])
    assert "key" not in shown.json()
    assert made["key"] not in (await alice.http.get("/v1/api-keys")).text
    key_id = ids.decode("key", made["id"])
    row = await admin.fetchrow("SELECT * FROM crossdock.api_keys WHERE id = $1", key_id)
    assert len(row["secret_hash"]) == 32
    assert made["key"][-49:-6].encode() not in bytes(repr(dict(row)), "utf-8")


async def test_nobody_grants_what_they_do_not_hold(new_tenant: Any) -> None:
    caller = await new_tenant("api-keys:write", "events:read")
    body = {"name": "x", "permissions": ["events:read", "sources:write"]}
    answer = await caller.http.post("/v1/api-keys", json=body)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    answer = await caller.http.post("/v1/api-keys", json={**body, "permissions": ["events:read"]})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"permissions": []}, "/permissions"),
        ({"permissions": ["moon:land"]}, "/permissions"),
        ({"permissions": ["*"]}, "/permissions/0"),
        ({"permissions": ["events:read"] * 65}, "/permissions"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2099-01-01T00:00:00"}, "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "/expires_at"),
        ({"name": ""}, "/name"),
        ({"tenant_id": "x"}, "/tenant_id"),
        ({"secret_hash": "x"}, "/secret_hash"),
    ],
)
async def test_a_bad_wish_is_refused(alice: Any, fields: dict[str, Any], pointer: str) -> None:
    body = {"name": "x", "permissions": ["events:read"], **fields}
    answer = await alice.http.post("/v1/api-keys", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_revoked_key_stays_listed(alice: Any) -> None:
    body = {"name": "revoked", "permissions": ["events:read"]}
    made = (await alice.http.post("/v1/api-keys", json=body)).json()
    path = f"/v1/api-keys/{made['id']}"
    assert (await alice.http.delete(path)).status_code == 204
    first = (await alice.http.get(path)).json()["revoked_at"]
    assert first is not None
    assert (await alice.http.delete(path)).status_code == 204
    assert (await alice.http.get(path)).json()["revoked_at"] == first


async def test_an_expiry_is_kept_to_the_moment(alice: Any) -> None:
    moment = datetime.now(UTC).replace(microsecond=123456) + timedelta(days=1)
    body = {"name": "e", "permissions": ["events:read"], "expires_at": moment.isoformat()}
    made = (await alice.http.post("/v1/api-keys", json=body)).json()
    assert datetime.fromisoformat(made["expires_at"]) == moment


async def test_the_first_key_may_do_everything(alice: Any) -> None:
    (*_, first) = (await alice.http.get("/v1/api-keys", params={"limit": 200})).json()["items"]
    assert set(first["permissions"]) == PERMISSIONS
    assert first["last_used_at"] is not None
