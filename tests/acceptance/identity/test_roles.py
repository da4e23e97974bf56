"""Roles: built in and tenants' own, inherited without cycles, granted by nobody who lacks them."""

import asyncio
import secrets
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.acceptance.identity.people import Person, Town, email, key, settled, source
from tests.acceptance.identity.problems import invalid, ok, refused, refused_anyhow, told

LADDER = ("viewer", "developer", "admin", "owner")
CLERK = (
    *("users:read", "users:write", "roles:read", "roles:write"),
    *("api-keys:read", "api-keys:write"),
)
"""What opens every door to granting, and nothing that a thief would want for itself."""
WANTED = "sources:write"


async def role(host: Person, permissions: Sequence[str] = (), **more: Any) -> Any:
    """Return a new role."""
    body = {"name": f"r-{secrets.token_hex(5)}", "permissions": list(permissions)} | more
    return ok(await host.rest.post("/v1/roles", body), 201)


@pytest.fixture(scope="module")
async def clerk(town: Town, owner: Person) -> Person:
    """Somebody who may manage people, roles and keys, and nothing else."""
    return await town.colleague(owner, (await role(owner, CLERK))["name"])


async def test_the_built_in_roles_are_listed_and_operators_have_their_own(owner: Person) -> None:
    items = ok(await owner.rest.get("/v1/roles"))["items"]
    listed = {role["name"]: role for role in items if role["built_in"]}

    assert set(listed) == set(LADDER)
    for name in LADDER:
        assert listed[name]["id"] == name
        assert ok(await owner.rest.get(f"/v1/roles/{name}")) == listed[name]


async def test_whoever_is_higher_may_what_the_lower_may(town: Town, owner: Person) -> None:
    people = await asyncio.gather(*(town.colleague(owner, name) for name in LADDER[:3]))
    held = [set((await person.me())["permissions"]) for person in (*people, owner)]

    for lower, higher in pairwise(held):
        assert lower < higher
    assert all(permission.endswith(":read") for permission in held[0])
    assert not {"users:write", "roles:write"} & held[1]
    assert "users:write" in held[2]


@pytest.mark.parametrize("name", LADDER)
async def test_a_built_in_role_stays_as_it_is(owner: Person, name: str) -> None:
    before = ok(await owner.rest.get(f"/v1/roles/{name}"))

    refused_anyhow(await owner.rest.patch(f"/v1/roles/{name}", {"permissions": []}))
    refused_anyhow(await owner.rest.delete(f"/v1/roles/{name}"))
    body = {"name": name, "permissions": ["sources:read"]}
    refused(await owner.rest.post("/v1/roles", body), {409, 422})

    assert ok(await owner.rest.get(f"/v1/roles/{name}")) == before


async def test_a_role_of_ones_own_gives_what_it_says(town: Town, owner: Person) -> None:
    base = await role(owner, ["events:read"])
    made = await role(owner, ["sources:read"], inherits=[base["name"]], description="For looking")
    person = await town.colleague(owner, made["name"])

    assert made["id"].startswith("rol_")
    assert made["built_in"] is False
    assert set((await person.me())["permissions"]) == {"sources:read", "events:read"}
    ok(await person.rest.get("/v1/events"))
    refused(await person.rest.get("/v1/destinations"), 403, "forbidden")


async def test_a_changed_role_is_changed_for_those_who_have_it(town: Town, owner: Person) -> None:
    made = await role(owner, ["sources:read"])
    person = await town.colleague(owner, made["name"])
    ok(await person.rest.get("/v1/sources"))

    body = {"permissions": ["events:read"]}
    ok(await owner.rest.patch(f"/v1/roles/{made['id']}", body))

    await settled(partial(person.rest.get, "/v1/sources"), 401, 403)
    fresh = await person.login()
    await settled(partial(fresh.rest.get, "/v1/events"), 200)
    refused(await fresh.rest.get("/v1/sources"), 403, "forbidden")


async def test_a_deleted_role_gives_nothing(town: Town, owner: Person) -> None:
    made = await role(owner, ["sources:read"])
    person = await town.colleague(owner, made["name"])

    reply = await owner.rest.delete(f"/v1/roles/{made['id']}")

    if reply.status_code == 409:
        ok(await person.rest.get("/v1/sources"))
        ok(await owner.rest.patch(f"/v1/users/{person.id}", {"roles": ["viewer"]}))
        reply = await owner.rest.delete(f"/v1/roles/{made['id']}")
        assert reply.status_code == 204, told(reply)
    else:
        assert reply.status_code == 204, told(reply)
        await settled(partial(person.rest.get, "/v1/sources"), 401, 403)
        # A namesake gives nothing to those who had the first one.
        await role(owner, ["sources:read"], name=made["name"])
        assert made["name"] not in (await owner.rest.get(f"/v1/users/{person.id}")).json()["roles"]
    refused(await owner.rest.get(f"/v1/roles/{made['id']}"), 404, "not-found")


async def test_cycles_are_refused(owner: Person) -> None:
    first = await role(owner, ["sources:read"])
    second = await role(owner, ["events:read"], inherits=[first["name"]])
    third = await role(owner, [], inherits=[second["name"]])

    for child in (first, second, third):
        body = {"inherits": [child["name"]]}
        refused(await owner.rest.patch(f"/v1/roles/{child['id']}", body), {409, 422})
    for heir in (second, third):
        body = {"inherits": [heir["name"]]}
        refused(await owner.rest.patch(f"/v1/roles/{first['id']}", body), {409, 422})
    name = f"r-{secrets.token_hex(5)}"
    itself = {"name": name, "permissions": ["sources:read"], "inherits": [name]}
    refused(await owner.rest.post("/v1/roles", itself), {409, 422})

    assert ok(await owner.rest.get(f"/v1/roles/{first['id']}"))["inherits"] == []


async def test_two_at_once_make_no_cycle_either(owner: Person) -> None:
    for _ in range(8):
        one, other = await role(owner, ["sources:read"]), await role(owner, ["events:read"])

        replies = await asyncio.gather(
            owner.rest.patch(f"/v1/roles/{one['id']}", {"inherits": [other["name"]]}),
            owner.rest.patch(f"/v1/roles/{other['id']}", {"inherits": [one["name"]]}),
        )

        taken = [reply for reply in replies if reply.is_success]
        assert len(taken) <= 1, [told(reply) for reply in replies]
        for reply in replies:
            if reply not in taken:
                refused(reply, {409, 412, 422})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("permissions", ["moon:land"]),
        ("permissions", ["*"]),
        ("permissions", ["tenants:write"]),
        ("permissions", "sources:read"),
        ("inherits", ["no-such-role"]),
        ("inherits", ["platform-admin"]),
        ("inherits", ["platform-support"]),
        ("inherits", ["support"]),
        ("name", ""),
        ("name", "platform-admin"),
        ("name", "support"),
        ("name", "a" * 300),
        ("name", "a\nb"),
    ],
)
async def test_a_role_that_makes_no_sense_is_refused(
    owner: Person, member: str, value: Any
) -> None:
    body = {"name": f"r-{secrets.token_hex(5)}", "permissions": ["sources:read"], member: value}
    reply = await owner.rest.post("/v1/roles", body)

    refused(reply, {403, 404, 409, 422})


async def test_names_are_a_tenants_own(town: Town, owner: Person) -> None:
    made, other = await role(owner, ["sources:read"]), await town.founder()

    again = {"name": made["name"], "permissions": ["events:read"]}
    refused(await owner.rest.post("/v1/roles", again), 409, "conflict")
    theirs = ok(await other.rest.post("/v1/roles", again), 201)

    assert theirs["permissions"] == ["events:read"]
    refused(await other.rest.get(f"/v1/roles/{made['id']}"), 404, "not-found")
    refused(await other.rest.delete(f"/v1/roles/{made['id']}"), 404, "not-found")
    change: dict[str, list[str]] = {"permissions": []}
    refused(await other.rest.patch(f"/v1/roles/{made['id']}", change), 404, "not-found")


async def test_a_clerk_can_work(town: Town, clerk: Person) -> None:
    lesser = await role(clerk, ["users:read"])
    person = await town.colleague(clerk, lesser["name"])
    ok(await clerk.rest.patch(f"/v1/users/{person.id}", {"name": "Renamed"}))
    ok(await clerk.rest.post("/v1/api-keys", {"name": "k", "permissions": ["users:read"]}), 201)


async def doors(town: Town, owner: Person, clerk: Person) -> dict[str, httpx.Response]:
    """Try to come by what one lacks through every door there is; return the answers."""
    mighty = await role(owner, [WANTED])
    humble = await role(clerk, ["users:read"])
    heir = await role(owner, ["users:read"], inherits=[humble["name"]])
    assert heir["inherits"] == [humble["name"]]
    mate = await town.colleague(clerk, humble["name"])
    strong = await key(owner.rest, WANTED)
    ask, users = clerk.rest, "/v1/users"
    robot = town.bearer((await key(ask, *CLERK))["key"])
    new = {"name": f"r-{secrets.token_hex(5)}"}
    replies = {
        "a role with it": await ask.post("/v1/roles", new | {"permissions": [WANTED]}),
        "a role that inherits it": await ask.post(
            "/v1/roles", new | {"permissions": [], "inherits": [mighty["name"]]}
        ),
        "a role that inherits owner": await ask.post(
            "/v1/roles", new | {"permissions": [], "inherits": ["owner"]}
        ),
        "their role, more of it": await ask.patch(
            f"/v1/roles/{humble['id']}", {"permissions": ["users:read", WANTED]}
        ),
        "their role, a new parent": await ask.patch(
            f"/v1/roles/{humble['id']}", {"inherits": ["developer"]}
        ),
        "themselves owner": await ask.patch(f"{users}/{clerk.id}", {"roles": ["owner"]}),
        "themselves the role": await ask.patch(f"{users}/{clerk.id}", {"roles": [mighty["name"]]}),
        "a mate": await ask.patch(f"{users}/{mate.id}", {"roles": [mighty["name"]]}),
        "a mate beside their own": await ask.patch(
            f"{users}/{mate.id}", {"roles": [humble["name"], "developer"]}
        ),
        "an invitation": await ask.post(
            "/v1/invitations", {"email": email("thief"), "roles": ["owner"]}
        ),
        "an invitation to the role": await ask.post(
            "/v1/invitations", {"email": email("thief"), "roles": [mighty["name"]]}
        ),
        "a key": await ask.post("/v1/api-keys", {"name": "k", "permissions": [WANTED]}),
        "a stronger key's successor": await ask.post(f"/v1/api-keys/{strong['id']}/rotate", {}),
    }
    body = {"email": email("thief"), "roles": ["owner"]}
    replies |= {
        "a key invites": await robot.post("/v1/invitations", body),
        "a key promotes": await robot.patch(f"{users}/{mate.id}", {"roles": ["admin"]}),
        "a key makes a role": await robot.post("/v1/roles", new | {"permissions": [WANTED]}),
        "a key makes a key": await robot.post(
            "/v1/api-keys", {"name": "k", "permissions": [WANTED]}
        ),
        "a key rotates a stronger one": await robot.post(f"/v1/api-keys/{strong['id']}/rotate", {}),
    }
    return replies


async def test_nobody_grants_what_they_lack_through_any_door(
    town: Town, owner: Person, clerk: Person
) -> None:
    before = await clerk.me()

    replies = await doors(town, owner, clerk)

    for name, reply in replies.items():
        assert reply.status_code == 403, (name, told(reply))
        refused(reply, 403, "forbidden")
    after = await clerk.me()
    assert after["permissions"] == before["permissions"]
    body = {"name": "x", "scheme": "none", "secrets": []}
    refused(await clerk.rest.post("/v1/sources", body), 403, "forbidden")


async def test_an_admin_makes_no_owner(town: Town, owner: Person) -> None:
    boss = await town.colleague(owner, "admin")
    lacked = set((await owner.me())["permissions"]) - set((await boss.me())["permissions"])
    assert lacked

    invitation = {"email": email("x"), "roles": ["owner"]}
    refused(await boss.rest.post("/v1/invitations", invitation), 403, "forbidden")
    refused(await boss.rest.patch(f"/v1/users/{boss.id}", {"roles": ["owner"]}), 403, "forbidden")


async def test_the_last_owner_stays(town: Town) -> None:
    founder = await town.founder()
    boss = await town.colleague(founder, "admin")
    path = f"/v1/users/{founder.id}"

    for caller in (founder.rest, boss.rest):
        body: dict[str, Any]
        for body in ({"roles": ["viewer"]}, {"roles": []}, {"state": "disabled"}):
            refused(await caller.patch(path, body), {403, 409, 422})
        refused(await caller.delete(path), {403, 409, 422})

    assert (await founder.me())["roles"] == ["owner"]
    second = await town.colleague(founder, "owner")
    ok(await second.rest.patch(path, {"roles": ["viewer"]}))
    refused(await second.rest.delete(f"/v1/users/{second.id}"), {403, 409, 422})


async def test_a_disabled_owner_is_no_owner_who_is_left(town: Town) -> None:
    founder = await town.founder()
    second = await town.colleague(founder, "owner")
    ok(await founder.rest.patch(f"/v1/users/{second.id}", {"state": "disabled"}))

    refused(await founder.rest.delete(f"/v1/users/{founder.id}"), {403, 409, 422})
    body = {"roles": ["viewer"]}
    refused(await founder.rest.patch(f"/v1/users/{founder.id}", body), {403, 409, 422})


@pytest.mark.parametrize("way", ["demote", "delete", "disable"])
async def test_two_owners_do_not_remove_one_another(town: Town, way: str) -> None:
    one = await town.founder()
    other = await town.colleague(one, "owner")

    def remove(by: Person, whom: Person) -> Any:
        path = f"/v1/users/{whom.id}"
        if way == "delete":
            return by.rest.delete(path)
        return by.rest.patch(
            path, {"roles": ["viewer"]} if way == "demote" else {"state": "disabled"}
        )

    replies = await asyncio.gather(
        remove(one, other), remove(other, one), remove(one, one), remove(other, other)
    )

    for reply in replies:
        assert reply.status_code < 500, told(reply)
    left = []
    for person in (one, other):
        reply = await person.try_login()
        if reply.status_code == 200:
            pair = ok(reply)
            me = ok(await town.bearer(pair["access_token"]).get("/v1/auth/me"))
            left += ["owner"] if me["roles"] == ["owner"] else []
    assert len(left) == 1, [told(reply) for reply in replies]


@pytest.mark.parametrize("roles", [["no-such-role"], ["platform-admin"], ["support"], "owner", [1]])
async def test_a_role_nobody_has_is_given_to_nobody(town: Town, owner: Person, roles: Any) -> None:
    body = {"email": email("x"), "roles": roles}
    refused(await owner.rest.post("/v1/invitations", body), {403, 404, 422})
    colleague = await town.colleague(owner, "viewer")

    refused(await owner.rest.patch(f"/v1/users/{colleague.id}", {"roles": roles}), {403, 404, 422})

    assert (await colleague.me())["roles"] == ["viewer"]


async def test_a_viewer_opens_no_door(town: Town, owner: Person) -> None:
    viewer = await town.colleague(owner, "viewer")
    made = await source(owner.rest)

    for method, path, body in (
        ("POST", "/v1/roles", {"name": "x", "permissions": ["sources:read"]}),
        ("POST", "/v1/invitations", {"email": email("x"), "roles": ["viewer"]}),
        ("POST", "/v1/api-keys", {"name": "x", "permissions": ["sources:read"]}),
        ("PATCH", f"/v1/users/{viewer.id}", {"roles": ["viewer"]}),
        ("PATCH", f"/v1/users/{owner.id}", {"state": "disabled"}),
        ("DELETE", f"/v1/users/{owner.id}", None),
        ("PATCH", f"/v1/sources/{made['id']}", {"name": "mine"}),
        ("DELETE", f"/v1/sources/{made['id']}", None),
        ("PATCH", "/v1/tenant", {"name": "mine"}),
    ):
        refused(await viewer.rest.call(method, path, body), 403, "forbidden")


async def test_a_patch_knows_its_members(owner: Person) -> None:
    made = await role(owner, ["sources:read"])

    invalid(await owner.rest.patch(f"/v1/roles/{made['id']}", {"built_in": True}), "/built_in")
