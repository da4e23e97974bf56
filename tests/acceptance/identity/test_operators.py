"""Operators: roles of their own, tenants' lives in their hands, and no look inside unasked."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from tests.acceptance.identity.forging import Token
from tests.acceptance.identity.people import (
    Caller,
    Person,
    Town,
    email,
    key,
    password,
    settled,
    slug,
    source,
    unauthenticated,
)
from tests.acceptance.identity.problems import invalid, ok, refused, refused_anyhow, told
from tests.faults.waiting import until

TENANTS = "/v1/admin/tenants"


@pytest.fixture(scope="module")
async def support(town: Town) -> Person:
    """An operator who helps, and changes nothing."""
    return await town.operator("platform-support")


def path(person: Person, rest: str = "") -> str:
    return f"{TENANTS}/{person.tenant_id}{rest}"


async def state(admin: Person, person: Person) -> str:
    value: str = ok(await admin.rest.get(path(person)))["state"]
    return value


async def enter(operator: Person, person: Person, **more: Any) -> Any:
    """Return a new support access."""
    body = {"reason": "Ticket 4711: deliveries fail", "minutes": 15} | more
    return ok(await operator.rest.post(path(person, "/support"), body), 201)


ADMIN_CALLS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "", None),
    ("POST", "/suspend", {"reason": "x"}),
    ("POST", "/resume", {}),
    ("POST", "/terminate", {"reason": "x"}),
    ("PATCH", "/quota", {"plan": "standard"}),
    ("GET", "/usage", None),
    ("POST", "/support", {"reason": "Ticket 1", "minutes": 5}),
)


async def test_whoever_is_no_operator_is_let_in_nowhere(town: Town, owner: Person) -> None:
    everything = (await owner.me())["permissions"]
    robot = town.bearer((await key(owner.rest, *everything))["key"])

    for caller, status in ((owner.rest, 403), (robot, 403), (town.anyone(), 401)):
        for method, rest, body in ADMIN_CALLS:
            refused(await caller.call(method, path(owner, rest), body), status)
        refused(await caller.get(TENANTS), status)
        refused(await caller.get("/v1/admin/shards"), status)
        made = {"name": "Mine", "slug": slug(), "email": email("x")}
        refused(await caller.post(TENANTS, made), status)

    assert (await owner.me())["tenant"]["state"] == "active"


async def test_operators_roles_are_apart(admin: Person, support: Person) -> None:
    boss, helper = await admin.me(), await support.me()

    assert (boss["roles"], helper["roles"]) == (["platform-admin"], ["platform-support"])
    assert set(helper["permissions"]) < set(boss["permissions"])
    assert boss["tenant"]["slug"] == "platform"
    assert "tenants:write" in boss["permissions"]
    assert "tenants:write" not in helper["permissions"]
    for person in (admin, support):
        for name in ("/v1/sources", "/v1/events", "/v1/destinations", "/v1/api-keys"):
            reply = await person.rest.get(name)
            # The platform has no webhooks of its own; if it may look, there is nothing to see.
            assert reply.status_code == 403 or reply.json()["items"] == [], told(reply)


async def test_support_looks_and_changes_nothing(support: Person, owner: Person) -> None:
    listed = await support.rest.all(TENANTS)
    ok(await support.rest.get(path(owner)))
    ok(await support.rest.get(path(owner, "/usage")))

    for method, rest, body in ADMIN_CALLS[1:5]:
        refused(await support.rest.call(method, path(owner, rest), body), 403, "forbidden")

    assert owner.tenant_id in {tenant["id"] for tenant in listed}
    ok(await owner.rest.get("/v1/auth/me"))


async def test_an_operator_is_no_member_of_a_tenant(admin: Person, owner: Person) -> None:
    made = await source(owner.rest)

    for name in (f"/v1/sources/{made['id']}", f"/v1/users/{owner.id}"):
        refused(await admin.rest.get(name), {403, 404})
    body = {"roles": ["viewer"]}
    refused(await admin.rest.patch(f"/v1/users/{owner.id}", body), {403, 404})


async def test_no_tenant_makes_operators(town: Town, owner: Person) -> None:
    body = {"email": email("x"), "roles": ["platform-admin"]}
    refused(await owner.rest.post("/v1/invitations", body), {403, 404, 422})
    refused(
        await owner.rest.patch(f"/v1/users/{owner.id}", {"roles": ["owner", "platform-admin"]}),
        {403, 404, 422},
    )
    wish = {
        "email": email("x"),
        "password": password(),
        "name": "X",
        "tenant_name": "platform",
        "slug": "platform",
    }
    refused(await town.anyone().post("/v1/signup", wish), {409, 422})


async def test_a_lesser_operator_makes_no_greater_one(support: Person) -> None:
    body = {"email": email("x"), "roles": ["platform-admin"]}
    refused(await support.rest.post("/v1/invitations", body), 403, "forbidden")
    change = {"roles": ["platform-admin"]}
    refused(await support.rest.patch(f"/v1/users/{support.id}", change), 403, "forbidden")


@pytest.mark.parametrize("tenant_id", ["ten_00000000000000000000000000", "ten_x", "x", "%00"])
async def test_what_is_no_tenant_is_not_found(admin: Person, tenant_id: str) -> None:
    for method, rest, body in ADMIN_CALLS:
        reply = await admin.rest.call(method, f"{TENANTS}/{tenant_id}{rest}", body)
        refused(reply, {404, 422})


async def test_the_platform_itself_is_not_suspended_or_ended(admin: Person) -> None:
    platform = (await admin.me())["tenant"]["id"]

    for verb in ("suspend", "terminate"):
        reply = await admin.rest.post(f"{TENANTS}/{platform}/{verb}", {"reason": "x"})
        refused_anyhow(reply)

    ok(await admin.rest.get("/v1/auth/me"))


async def test_states_follow_one_another_or_conflict(town: Town, admin: Person) -> None:
    founder = await town.founder()

    refused(await admin.rest.post(path(founder, "/resume"), {}), 409, "conflict")
    invalid(await admin.rest.post(path(founder, "/suspend"), {"reason": ""}), "/reason")
    refused(await admin.rest.post(path(founder, "/suspend"), {}), 422, "invalid")
    replies = await asyncio.gather(
        *(admin.rest.post(path(founder, "/suspend"), {"reason": f"r{n}"}) for n in range(6))
    )

    assert any(reply.is_success for reply in replies)
    for reply in replies:
        if not reply.is_success:
            refused(reply, 409, "conflict")
    assert await state(admin, founder) == "suspended"
    ok(await admin.rest.post(path(founder, "/resume"), {}))
    assert await state(admin, founder) == "active"


async def test_a_reason_is_the_operators_and_both_are_noted(town: Town, admin: Person) -> None:
    founder = await town.founder()
    ok(await admin.rest.post(path(founder, "/suspend"), {"reason": "unpaid since May"}))
    ok(await admin.rest.post(path(founder, "/resume"), {}))

    actions = [entry["action"] for entry in await (await founder.login()).rest.all("/v1/audit")]

    assert any("suspend" in action for action in actions), actions
    assert any("resum" in action for action in actions), actions


async def test_a_terminated_tenant_has_a_grace(town: Town, admin: Person) -> None:
    founder = await town.founder()
    made = await source(founder.rest)

    body = {"reason": "contract ended", "grace_days": 30}
    ok(await admin.rest.post(path(founder, "/terminate"), body))

    assert await state(admin, founder) == "terminating"
    send = partial(town.http.post, made["ingest_url"], content=b"{}")
    await settled(send, 403, 404)
    shown = ok(await admin.rest.get(path(founder)))
    ends = datetime.fromisoformat(shown["terminate_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < ends <= timedelta(days=30)


@pytest.mark.parametrize("days", [-1, 10**9, 1.5, "7"])
async def test_a_grace_that_makes_no_sense_is_refused(
    town: Town, admin: Person, owner: Person, days: Any
) -> None:
    body = {"reason": "x", "grace_days": days}
    invalid(await admin.rest.post(path(owner, "/terminate"), body), "/grace_days")


@pytest.mark.slow
async def test_without_grace_everything_goes_but_the_tombstone(town: Town, admin: Person) -> None:
    founder, neighbour = await town.founders(2)
    made = await source(founder.rest)
    robot = town.bearer((await key(founder.rest, "sources:read"))["key"])

    ok(await admin.rest.post(path(founder, "/terminate"), {"reason": "asked for", "grace_days": 0}))

    async def is_gone() -> bool:
        return await state(admin, founder) == "terminated"

    await until(is_gone, "the end of a tenant", within=50, step=0.2)
    unauthenticated(await founder.try_login())
    unauthenticated(await robot.get("/v1/sources"))
    unauthenticated(await founder.rest.get("/v1/auth/me"))
    body = {"refresh_token": founder.session.refresh}
    unauthenticated(await town.anyone().post("/v1/auth/refresh", body))
    await settled(partial(town.http.post, made["ingest_url"], content=b"{}"), 403, 404)
    for verb in ("resume", "suspend"):
        refused(await admin.rest.post(path(founder, f"/{verb}"), {"reason": "x"}), {409, 422})
    ok(await neighbour.rest.get("/v1/auth/me"))
    # The person may come back: nothing of the address is left in the way.
    again = await town.founder()
    assert again.tenant_id != founder.tenant_id


async def reads_only(caller: Caller, made: Any) -> None:
    """Check that a support access looks and touches nothing."""
    ok(await caller.get("/v1/sources"))
    ok(await caller.get(f"/v1/sources/{made['id']}"))
    ok(await caller.get("/v1/events"))
    for method, name, body in (
        ("POST", "/v1/sources", {"name": "x", "scheme": "none", "secrets": []}),
        ("PATCH", f"/v1/sources/{made['id']}", {"name": "mine"}),
        ("DELETE", f"/v1/sources/{made['id']}", None),
        ("POST", f"/v1/sources/{made['id']}/pause", None),
        ("POST", "/v1/api-keys", {"name": "x", "permissions": ["sources:read"]}),
        ("POST", "/v1/invitations", {"email": email("x"), "roles": ["viewer"]}),
        ("POST", "/v1/roles", {"name": "x", "permissions": ["sources:read"]}),
        ("PATCH", "/v1/tenant", {"name": "mine"}),
        ("GET", "/v1/auth/sessions", None),
        ("POST", "/v1/auth/logout", None),
        ("GET", TENANTS, None),
    ):
        refused(await caller.call(method, name, body), 403, "forbidden")


async def test_support_enters_with_a_reason_for_a_while_and_reads(
    town: Town, support: Person
) -> None:
    founder, other = await town.founders(2)
    made, theirs = await source(founder.rest), await source(other.rest)

    access = await enter(support, founder)
    caller = town.bearer(access["access_token"])

    claims = Token.read(access["access_token"]).claims
    ends = datetime.fromisoformat(access["ends_at"])
    assert access["support_id"].startswith("sup_")
    assert claims["exp"] <= ends.timestamp() + 1
    assert ends - datetime.now(UTC) <= timedelta(minutes=15)
    assert claims["act"] == {"sub": support.id}
    assert claims["tid"] == founder.tenant_id
    await reads_only(caller, made)
    refused(await caller.get(f"/v1/sources/{theirs['id']}"), 404, "not-found")
    assert {item["id"] for item in await caller.all("/v1/sources")} == {made["id"]}


async def test_a_tenant_sees_who_was_there_and_shows_them_out(town: Town, support: Person) -> None:
    founder = await town.founder()
    access = await enter(support, founder)
    caller = town.bearer(access["access_token"])
    ok(await caller.get("/v1/sources"))

    listed = await founder.rest.all("/v1/support-accesses")
    audit = await founder.rest.all("/v1/audit")

    mine = next(item for item in listed if item["id"] == access["support_id"])
    assert mine["reason"] == "Ticket 4711: deliveries fail"
    opened = [entry for entry in audit if access["support_id"] in str(entry)]
    assert any("4711" in str(entry) for entry in opened), "The reason is on record."
    assert all(entry["actor"] == {"kind": "operator", "id": support.id} for entry in opened)
    out = await founder.rest.delete(f"/v1/support-accesses/{access['support_id']}")
    assert out.status_code == 204, told(out)
    await settled(partial(caller.get, "/v1/sources"), 401)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"reason": ""}, "/reason"),
        ({"reason": "   "}, "/reason"),
        ({"minutes": 0}, "/minutes"),
        ({"minutes": -5}, "/minutes"),
        ({"minutes": 100_000}, "/minutes"),
        ({"minutes": "15"}, "/minutes"),
        ({"permissions": ["sources:write"]}, "/permissions"),
        ({"roles": ["owner"]}, "/roles"),
    ],
)
async def test_an_access_without_reason_or_end_is_refused(
    support: Person, owner: Person, change: Any, pointer: str
) -> None:
    body = {"reason": "Ticket 1", "minutes": 5} | change

    invalid(await support.rest.post(path(owner, "/support"), body), pointer)


async def test_an_operator_who_is_gone_is_out_of_every_tenant(town: Town, admin: Person) -> None:
    founder, leaver = await town.founder(), await town.operator("platform-support")
    caller = town.bearer((await enter(leaver, founder))["access_token"])
    ok(await caller.get("/v1/sources"))

    ok(await admin.rest.patch(f"/v1/users/{leaver.id}", {"state": "disabled"}))

    await settled(partial(leaver.rest.get, "/v1/auth/me"), 401)
    await settled(partial(caller.get, "/v1/sources"), 401)


async def test_another_tenants_support_access_is_not_there(town: Town, support: Person) -> None:
    founder, other = await town.founders(2)
    access = await enter(support, founder)

    reply = await other.rest.delete(f"/v1/support-accesses/{access['support_id']}")

    refused(reply, 404, "not-found")
    ok(await town.bearer(access["access_token"]).get("/v1/sources"))
    assert await other.rest.all("/v1/support-accesses") == []
