"""Tenants over REST: their own view, the operators', and signing up."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from crossdock import ids
from crossdock.mail.letters import token_of
from crossdock.tenancy import plans
from gateway.identity import Identity
from tests.beds.crowd import Crowd
from tests.integration.rest.conftest import Caller

Connect = Callable[..., httpx.AsyncClient]
NewTenant = Callable[..., Awaitable[Caller]]
TENANTS = "/v1/admin/tenants"


@pytest.fixture(scope="module")
async def boss(crowd: Crowd, connect: Connect) -> httpx.AsyncClient:
    return connect((await crowd.operator()).token)


@pytest.fixture(scope="module")
async def helper(crowd: Crowd, connect: Connect) -> httpx.AsyncClient:
    return connect((await crowd.operator("platform-support")).token)


def path(caller: Caller, rest: str = "") -> str:
    return f"{TENANTS}/{ids.encode('ten', caller.tenant_id)}{rest}"


def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_tenant_sees_and_renames_itself(
    new_tenant: NewTenant, boss: httpx.AsyncClient
) -> None:
    caller = await new_tenant()
    before = ok(await caller.http.get("/v1/tenant"))
    after = ok(await caller.http.patch("/v1/tenant", json={"name": "Änother"}))
    assert after == before | {"name": "Änother"}
    assert ok(await caller.http.patch("/v1/tenant", json={})) == after
    assert ok(await boss.get(path(caller)))["name"] == "Änother"
    for body in ({"slug": "x"}, {"plan": "business"}, {"state": "active"}, {"name": "a\nb"}):
        answer = await caller.http.patch("/v1/tenant", json=body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == f"/{next(iter(body))}"
    assert ok(await caller.http.get("/v1/tenant")) == after


async def test_a_tenant_sees_what_it_uses(new_tenant: NewTenant, boss: httpx.AsyncClient) -> None:
    caller = await new_tenant()
    ok(await boss.patch(path(caller, "/quota"), json={"quotas": {"api_keys": 4}}))
    told = ok(await caller.http.get("/v1/tenant/usage"))
    assert set(told["usage"]) == set(plans.QUOTAS)
    assert told["usage"]["api_keys"] == {"used": 1, "limit": 4, "percent": 25}
    assert told["usage"]["events_per_day"]["used"] == 0
    assert told["usage"]["requests_per_minute"]["used"] is None
    assert (told["plan"], told["blocked_until"]) == ("standard", None)
    assert ok(await boss.get(path(caller, "/usage"))) == told


async def test_a_quota_that_is_reached_is_a_problem_of_its_own(
    new_tenant: NewTenant, boss: httpx.AsyncClient
) -> None:
    caller = await new_tenant()
    ok(await boss.patch(path(caller, "/quota"), json={"quotas": {"sources": 0}}))
    answer = await caller.http.post("/v1/sources", json={"name": "s", "scheme": "none"})
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/quota-reached"
    assert "0 of the 0 sources" in answer.json()["detail"]


async def test_operators_rule_a_tenants_life(
    new_tenant: NewTenant, boss: httpx.AsyncClient, admin: asyncpg.Connection
) -> None:
    caller = await new_tenant()
    refused = await boss.post(path(caller, "/resume"), json={})
    assert refused.status_code == 409
    held = ok(await boss.post(path(caller, "/suspend"), json={"reason": "unpaid"}))
    assert (held["state"], held["reason"]) == ("suspended", "unpaid")
    ended = ok(await boss.post(path(caller, "/terminate"), json={"reason": "x", "grace_days": 3}))
    assert ended["state"] == "terminating"
    assert ended["terminate_at"] is not None
    again = ok(await boss.post(path(caller, "/resume"), json={}))
    assert (again["state"], again["reason"], again["terminate_at"]) == ("active", None, None)
    rows = await admin.fetch(
        "SELECT action, actor_kind, actor_id, detail FROM crossdock.audit"
        " WHERE tenant_id = $1 AND action ~ 'suspend|terminate|resume' ORDER BY id",
        caller.tenant_id,
    )
    assert [row["action"] for row in rows] == [
        "tenant.suspend",
        "tenant.terminate",
        "tenant.resume",
    ]
    assert {row["actor_kind"] for row in rows} == {"operator"}
    assert None not in {row["actor_id"] for row in rows}
    assert "unpaid" in rows[0]["detail"]


async def test_operators_see_the_shards(boss: httpx.AsyncClient, helper: httpx.AsyncClient) -> None:
    (shard,) = ok(await boss.get("/v1/admin/shards"))["items"]
    assert (shard["id"], shard["state"], shard["is_reachable"]) == (0, "open", True)
    assert shard["tenants"] > 0
    assert ok(await helper.get("/v1/admin/shards"))["items"][0]["id"] == 0


async def test_operators_make_and_list_tenants(boss: httpx.AsyncClient) -> None:
    slug = f"t-{ids.new().hex}"
    answer = await boss.post(TENANTS, json={"name": "New", "slug": slug, "plan": "business"})
    made = ok(answer, 201)
    assert answer.headers["location"] == f"{TENANTS}/{made['id']}"
    assert (made["plan"], made["shard"], made["tier"]) == ("business", 0, "shared")
    assert (await boss.post(TENANTS, json={"name": "New", "slug": slug})).status_code == 409
    assert (await boss.post(TENANTS, json={"name": "New", "shard": 99})).status_code == 404
    assert (await boss.post(TENANTS, json={"name": "New", "shard": 2**31})).status_code == 422
    page = ok(await boss.get(f"{TENANTS}?limit=1"))
    assert page["items"] == [made]
    ok(await boss.get(f"{TENANTS}?limit=1&cursor={page['next_cursor']}"))


@pytest.mark.parametrize("member", ["id", "state", "tier", "quotas", "version", "tenant_id"])
async def test_nobody_says_more_of_a_new_tenant_than_may_be_said(
    boss: httpx.AsyncClient, member: str
) -> None:
    answer = await boss.post(TENANTS, json={"name": "New", member: "x"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/{member}"


async def test_support_only_looks_and_tenants_do_not_even_that(
    new_tenant: NewTenant, helper: httpx.AsyncClient
) -> None:
    caller = await new_tenant()
    for answer in (await helper.get(TENANTS), await helper.get(path(caller))):
        ok(answer)
    changes: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/suspend", {"reason": "x"}),
        ("POST", "/resume", {}),
        ("POST", "/terminate", {"reason": "x"}),
        ("PATCH", "/quota", {"plan": "business"}),
    )
    for method, rest, body in changes:
        for client in (helper, caller.http):
            answer = await client.request(method, path(caller, rest), json=body)
            assert answer.status_code == 403, answer.text
    for rest in ("", "/usage"):
        assert (await caller.http.get(path(caller, rest))).status_code == 403
    assert ok(await helper.get(path(caller)))["state"] == "active"


async def test_what_is_no_tenant_is_not_found(boss: httpx.AsyncClient) -> None:
    for name in ("x", "ten_x", ids.encode("ten", ids.new()), "platform"):
        for rest in ("", "/usage"):
            assert (await boss.get(f"{TENANTS}/{name}{rest}")).status_code == 404
        answer = await boss.post(f"{TENANTS}/{name}/suspend", json={"reason": "x"})
        assert answer.status_code == 404


WISH = {
    "email": "x@example.com",
    "password": "correct horse battery staple",
    "name": "Frida",
    "tenant_name": "Acme",
}


@pytest.mark.parametrize("member", ["plan", "role", "roles", "tenant_id", "user_id", "state"])
async def test_nobody_signs_up_for_more_than_is_asked(
    anonymous: httpx.AsyncClient, member: str
) -> None:
    for target, body in (("/v1/signup", WISH), ("/v1/signup/verify", {"token": "a" * 43})):
        answer = await anonymous.post(target, json={**body, member: "owner"})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == f"/{member}"


async def test_somebody_signs_up_and_has_a_tenant(
    anonymous: httpx.AsyncClient, identity: Identity, admin: asyncpg.Connection
) -> None:
    email, slug = f"{ids.new().hex}@example.com", f"t-{ids.new().hex}"
    ok(await anonymous.post("/v1/signup", json=WISH | {"email": email, "slug": slug}), 202)
    row = await admin.fetchrow(
        "SELECT m.* FROM crossdock.mails AS m JOIN crossdock.signups AS s USING (tenant_id)"
        " WHERE s.email = $1",
        email,
    )
    letter = identity.postbox.open(row["tenant_id"], row["id"], row["sealed"])
    token = token_of(letter.text)
    made = ok(await anonymous.post("/v1/signup/verify", json={"token": token}), 201)
    assert made["tenant"] == {
        "id": ids.encode("ten", row["tenant_id"]),
        "slug": slug,
        "name": "Acme",
    }
    assert made["user"]["email"] == email
    again = await anonymous.post("/v1/signup/verify", json={"token": token})
    assert again.status_code == 409
    login = {"email": email, "password": WISH["password"]}
    ok(await anonymous.post("/v1/auth/login", json=login))
