"""API keys and the people behind them: never more than they are, by now."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossdock import ids
from crossdock.access.authentication import CACHE_S
from crossdock.access.model import Actor, Principal
from crossdock.access.service import ApiKeys
from crossdock.db import Databases
from crossdock.errors import Forbidden


@pytest.fixture
async def forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that remembers no key, as one does a second later."""
    assert CACHE_S == 0.75
    monkeypatch.setattr("crossdock.access.authentication.CACHE_S", 0.0)


async def permissions_of(http: Any) -> set[str]:
    return set((await http.get("/v1/auth/me")).json()["permissions"])


async def test_a_key_is_its_makers(house: Any) -> None:
    member = await house.member("developer")
    made = await house.api_key(house.door(member), "events:read")
    assert made["created_by"] == member.wire_id
    child = await house.api_key(
        house.connect((await house.api_key(house.door(member), "api-keys:write"))["key"]),
        "api-keys:write",
    )
    assert child["created_by"] == member.wire_id, "whoever made the key made what it makes"
    assert (await house.api_key(house.key, "events:read"))["created_by"] is None


async def test_nobody_makes_a_key_of_what_they_lack(house: Any) -> None:
    door = house.door(await house.member("developer"))
    for permissions in (["users:write"], ["events:read", "tenant:write"]):
        body = {"name": "k", "permissions": permissions}
        answer = await door.post("/v1/api-keys", json=body)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert len(await house.audited("api-key.create.refused")) == 2
    body = {"name": "k", "permissions": ["tenants:write"]}
    assert (await house.key.post("/v1/api-keys", json=body)).status_code == 422


async def test_whose_session_has_just_ended_makes_no_key(
    house: Any, database: Databases, admin: Any
) -> None:
    """Gateways may believe a token for a second more; a key would be there for good."""
    member = await house.member("developer")
    some = frozenset({"events:read"})
    by = Principal(
        tenant_id=house.tenant_id,
        tenant_state="active",
        actor=Actor("user", member.id),
        permissions=some,
        session_id=member.session_id,
    )
    api_keys = ApiKeys(database, environment="test")

    async def make() -> None:
        await api_keys.create(house.tenant_id, name="k", permissions=some, held=some, by=by)

    await make()
    await admin.execute(
        "UPDATE crossdock.sessions SET revoked_at = now() WHERE id = $1", member.session_id
    )
    with pytest.raises(Forbidden, match="just ended"):
        await make()


@pytest.mark.usefixtures("forgetting")
async def test_a_key_loses_what_its_maker_loses(house: Any) -> None:
    await house.role("trusted", "users:read", "api-keys:write", "events:read")
    member = await house.member("trusted")
    made = await house.api_key(house.door(member), "users:read", "events:read")
    key = house.connect(made["key"])
    assert await permissions_of(key) == {"users:read", "events:read"}
    await house.key.patch(member.path, json={"roles": ["viewer"]})
    assert await permissions_of(key) == {"events:read"}
    assert (await key.get("/v1/users")).status_code == 403
    await house.key.patch(member.path, json={"state": "disabled"})
    assert (await key.get("/v1/auth/me")).status_code == 401
    await house.key.patch(member.path, json={"state": "active", "roles": ["trusted"]})
    assert await permissions_of(key) == {"users:read", "events:read"}
    shown = (await house.key.get(f"/v1/api-keys/{made['id']}")).json()
    assert shown["permissions"] == ["events:read", "users:read"]


@pytest.mark.usefixtures("forgetting")
async def test_a_key_grants_what_it_holds_by_now(house: Any) -> None:
    member = await house.member("admin")
    made = await house.api_key(house.door(member), "api-keys:write", "users:read", "users:write")
    key = house.connect(made["key"])
    await house.api_key(key, "users:read")
    await house.key.patch(member.path, json={"roles": ["developer"]})
    body = {"name": "k", "permissions": ["users:read"]}
    assert (await key.post("/v1/api-keys", json=body)).status_code == 403


@pytest.mark.usefixtures("forgetting")
async def test_a_rotated_key_goes_on_for_a_while(house: Any) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    old = await house.api_key(house.key, "events:read", expires_at=end.isoformat())
    path = f"/v1/api-keys/{old['id']}"
    answer = await house.key.post(f"{path}/rotate", json={"overlap_s": 3600})
    assert answer.status_code == 201
    new = answer.json()
    assert answer.headers["location"] == f"/v1/api-keys/{new['id']}"
    assert (new["name"], new["permissions"]) == (old["name"], old["permissions"])
    assert datetime.fromisoformat(new["expires_at"]) == end
    assert new["key"] != old["key"]
    shown = (await house.key.get(path)).json()
    assert shown["rotated_to"] == new["id"]
    left = datetime.fromisoformat(shown["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    for text in (old["key"], new["key"]):
        assert (await house.connect(text).get("/v1/events")).status_code == 200
    again = await house.key.post(f"{path}/rotate", json={})
    assert again.status_code == 409
    newer = f"/v1/api-keys/{new['id']}"
    assert (await house.key.post(f"{newer}/rotate", json={})).status_code == 409
    assert (await house.key.delete(path)).status_code == 204
    at_once = await house.key.post(f"{newer}/rotate", json={"overlap_s": 0})
    assert at_once.status_code == 201
    assert (await house.connect(new["key"]).get("/v1/events")).status_code == 401
    [first, _second] = await house.audited("api-key.rotate")
    assert first["target"] == old["id"]


async def test_rotated_at_once_it_is_one_key(house: Any) -> None:
    old = await house.api_key(house.key, "events:read")
    path = f"/v1/api-keys/{old['id']}/rotate"
    answers = await asyncio.gather(*(house.key.post(path, json={}) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_nobody_rotates_a_key_that_may_more(house: Any) -> None:
    old = await house.api_key(house.key, "users:write")
    developer = await house.member("developer")
    answer = await house.door(developer).post(f"/v1/api-keys/{old['id']}/rotate", json={})
    assert answer.status_code == 403
    admin = await house.member("admin")
    taken = await house.door(admin).post(f"/v1/api-keys/{old['id']}/rotate", json={})
    assert taken.json()["created_by"] == admin.wire_id


@pytest.mark.parametrize("overlap", [-1, 604_801, 1.5, "60", None])
async def test_an_overlap_has_its_bounds(house: Any, overlap: Any) -> None:
    old = await house.api_key(house.key, "events:read")
    answer = await house.key.post(f"/v1/api-keys/{old['id']}/rotate", json={"overlap_s": overlap})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/overlap_s")


async def test_what_has_ended_is_not_rotated(house: Any) -> None:
    old = await house.api_key(house.key, "events:read")
    path = f"/v1/api-keys/{old['id']}"
    await house.key.delete(path)
    assert (await house.key.post(f"{path}/rotate", json={})).status_code == 409
    missing = f"/v1/api-keys/{ids.encode('key', ids.new())}/rotate"
    assert (await house.key.post(missing, json={})).status_code == 404


async def test_keys_have_a_quota_that_nobody_gets_past(house: Any, admin: Any) -> None:
    await admin.execute(
        "UPDATE crossdock.tenants SET quotas = '{\"api_keys\": 4}' WHERE id = $1", house.tenant_id
    )
    body = {"name": "k", "permissions": ["events:read"]}
    answers = await asyncio.gather(*(house.key.post("/v1/api-keys", json=body) for _ in range(20)))
    made = [answer.json() for answer in answers if answer.status_code == 201]
    assert len(made) == 3, "one was there"
    refused = {answer.json()["type"] for answer in answers if answer.status_code != 201}
    assert refused <= {"/problems/quota-reached", "/problems/unavailable"}
    rotated = await house.key.post(f"/v1/api-keys/{made[0]['id']}/rotate", json={})
    assert rotated.status_code == 201, "a full tenant can still rotate"


async def test_a_key_outlives_its_successor_within_the_quota(house: Any, admin: Any) -> None:
    await admin.execute(
        "UPDATE crossdock.tenants SET quotas = '{\"api_keys\": 3}' WHERE id = $1", house.tenant_id
    )
    old = await house.api_key(house.key, "events:read")
    rotated = await house.key.post(f"/v1/api-keys/{old['id']}/rotate", json={"overlap_s": 3600})
    await house.key.delete(f"/v1/api-keys/{rotated.json()['id']}")
    body = {"name": "k", "permissions": ["events:read"]}
    answers = [(await house.key.post("/v1/api-keys", json=body)).status_code for _ in range(2)]
    assert answers == [201, 403], "the old one is live, and counts for itself again"


async def test_operators_have_keys_of_their_own_kind(crowd: Any, connect: Any, house: Any) -> None:
    head = connect((await crowd.operator()).token)
    body = {"name": "k", "permissions": ["tenants:read"]}
    made = (await head.post("/v1/api-keys", json=body)).json()
    key = connect(made["key"])
    assert await permissions_of(key) == {"tenants:read"}
    assert (await key.get("/v1/sources")).status_code == 403
    tenant = ids.encode("ten", house.tenant_id)
    answer = await key.post(
        f"/v1/admin/tenants/{tenant}/support", json={"reason": "x", "minutes": 5}
    )
    assert answer.status_code == 403
    for permissions in (["events:read"], ["sources:write"]):
        body = {"name": "k", "permissions": permissions}
        assert (await head.post("/v1/api-keys", json=body)).status_code == 422
