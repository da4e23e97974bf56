"""A tenant's own roles: what they permit, and what nobody can make of them."""

import asyncio
from typing import Any

import pytest

from crossdock.access.permissions import PERMISSIONS, resolved
from crossdock.access.roles.rules import MAX_DEPTH, MAX_ROLES


async def permissions_of(http: Any) -> set[str]:
    return set((await http.get("/v1/auth/me")).json()["permissions"])


async def test_the_built_in_roles_are_a_hierarchy(house: Any) -> None:
    held = [
        await permissions_of(house.door(await house.member(name)))
        for name in ("viewer", "developer", "admin", "owner")
    ]
    assert held[0] < held[1] < held[2] < held[3] == PERMISSIONS
    listed = (await house.key.get("/v1/roles")).json()["items"]
    assert [role["name"] for role in listed] == ["viewer", "developer", "admin", "owner"]
    assert all(role["built_in"] and role["id"] == role["name"] for role in listed)
    shown = (await house.key.get("/v1/roles/admin")).json()
    assert set(shown["effective"]) == held[2]


async def test_a_role_has_its_own_and_what_it_inherits(house: Any) -> None:
    await house.role("base", "events:read")
    path = await house.role("top", "users:read", inherits=("base", "developer"))
    shown = (await house.key.get(path)).json()
    expected = {"users:read", "events:read", *resolved("developer")}
    assert set(shown["effective"]) == expected
    assert shown["permissions"] == ["users:read"]
    assert await permissions_of(house.door(await house.member("top"))) == expected


async def test_a_change_holds_for_all_who_have_it_and_is_announced(house: Any) -> None:
    path = await house.role("base", "events:read")
    await house.role("top", inherits=("base",))
    door = house.door(await house.member("top"))
    before = await house.announced("tenant")
    answer = await house.key.patch(path, json={"permissions": ["sources:read"]})
    assert answer.status_code == 200
    assert await permissions_of(door) == {"sources:read"}
    assert len(await house.announced("tenant")) == len(before) + 1
    version = "SELECT roles_version FROM crossdock.tenants WHERE id = $1"
    assert await house.admin.fetchval(version, house.tenant_id) == 3
    [entry] = await house.audited("role.update")
    assert entry["actor_kind"] == "key"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"name": "owner"}, "/name"),
        ({"name": "support"}, "/name"),
        ({"name": "platform-admin"}, "/name"),
        ({"name": "platform-x"}, "/name"),
        ({"name": "Ops"}, "/name"),
        ({"name": ""}, "/name"),
        ({"permissions": ["moon:land"]}, "/permissions"),
        ({"permissions": ["moon:land", "events:read"]}, "/permissions"),
        ({"permissions": ["tenants:write"]}, "/permissions"),
        ({"permissions": ["*"]}, "/permissions/0"),
        ({"inherits": ["nobody"]}, "/inherits/0"),
        ({"inherits": ["platform-admin"]}, "/inherits/0"),
        ({"inherits": ["support"]}, "/inherits/0"),
        ({"inherits": ["new"]}, "/inherits"),
        ({"tenant_id": "x"}, "/tenant_id"),
        ({"id": "x"}, "/id"),
        ({"version": 9}, "/version"),
        ({"built_in": True}, "/built_in"),
    ],
)
async def test_a_bad_role_is_refused(house: Any, fields: dict[str, Any], pointer: str) -> None:
    body = {"name": "new", "permissions": ["events:read"], **fields}
    answer = await house.key.post("/v1/roles", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)


async def test_a_circle_is_refused(house: Any) -> None:
    first = await house.role("a", "events:read")
    await house.role("b", inherits=("a",))
    await house.role("c", inherits=("b", "viewer"))
    for inherits in (["a"], ["b"], ["c"], ["viewer", "c"]):
        answer = await house.key.patch(first, json={"inherits": inherits})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/inherits"
    assert (await house.key.get(first)).json()["inherits"] == []


async def test_two_who_close_a_circle_at_once_do_not(house: Any) -> None:
    names = [f"r-{number}" for number in range(6)]
    paths = [await house.role(name) for name in names]
    answers = await asyncio.gather(
        *(
            house.key.patch(path, json={"inherits": [following]})
            for path, following in zip(paths, names[1:] + names[:1], strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [422]


async def test_a_chain_has_an_end(house: Any) -> None:
    await house.role("r-0")
    for number in range(1, MAX_DEPTH):
        await house.role(f"r-{number}", inherits=(f"r-{number - 1}",))
    body = {"name": "too-deep", "inherits": [f"r-{MAX_DEPTH - 1}"]}
    answer = await house.key.post("/v1/roles", json=body)
    assert answer.status_code == 422
    # Nor by putting something under it.
    lowest = await house.role("lowest")
    listed = (await house.key.get("/v1/roles")).json()["items"]
    base = next(role for role in listed if role["name"] == "r-0")
    answer = await house.key.patch(f"/v1/roles/{base['id']}", json={"inherits": ["lowest"]})
    assert answer.status_code == 422
    assert (await house.key.delete(lowest)).status_code == 204


async def test_the_number_of_roles_is_bounded(house: Any) -> None:
    await house.admin.execute(
        "INSERT INTO crossdock.roles (tenant_id, id, name, permissions)"
        " SELECT $1, gen_random_uuid(), 'r-' || n, '{}' FROM generate_series(2, $2::int) AS n",
        house.tenant_id,
        MAX_ROLES,
    )
    await house.role("last")
    answer = await house.key.post("/v1/roles", json={"name": "one-more"})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/quota-reached")


async def test_nobody_makes_a_role_of_what_they_lack(house: Any) -> None:
    await house.role("strong", "tenant:write")
    await house.role("strong-too", inherits=("strong",))
    admin = house.door(await house.member("admin"))
    for fields in (
        {"permissions": ["tenant:write"]},
        {"permissions": ["events:read", "tenant:write"]},
        {"inherits": ["owner"]},
        {"inherits": ["strong"]},
        {"inherits": ["viewer", "strong-too"]},
    ):
        answer = await admin.post("/v1/roles", json={"name": "mine", **fields})
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert len(await house.audited("role.create.refused")) == 5
    assert "mine" not in (await house.key.get("/v1/roles")).text


async def test_nobody_edits_a_role_to_what_they_lack(house: Any) -> None:
    """Neither one that they have themselves, nor one that others have or build on."""
    await house.role("strong", "tenant:write")
    own = await house.role("own", "roles:write", "roles:read", "events:read")
    spare = await house.role("spare", "events:read")
    await house.role("heir", inherits=("spare",))
    member = house.door(await house.member("own"))
    for path in (own, spare):
        for changes in (
            {"permissions": ["events:read", "tenant:write"]},
            {"inherits": ["owner"]},
            {"inherits": ["strong"]},
            {"inherits": ["viewer"]},
        ):
            answer = await member.patch(path, json=changes)
            assert answer.status_code == 403, (path, changes, answer.text)
    assert (await member.patch(spare, json={"permissions": []})).status_code == 200
    assert (await member.patch(spare, json={"permissions": ["roles:read"]})).status_code == 200


async def test_nobody_changes_a_role_that_permits_more_than_they_hold(house: Any) -> None:
    strong = await house.role("strong", "tenant:write", "events:read")
    admin = house.door(await house.member("admin"))
    for changes in ({"permissions": ["events:read"]}, {"description": "mine now"}):
        assert (await admin.patch(strong, json=changes)).status_code == 403
    assert (await admin.delete(strong)).status_code == 403
    shown = (await house.key.get(strong)).json()
    assert shown["permissions"] == ["events:read", "tenant:write"]


async def test_a_role_in_use_is_not_deleted(house: Any) -> None:
    base = await house.role("base", "events:read")
    heir = await house.role("heir", inherits=("base",))
    assert (await house.key.delete(base)).status_code == 409
    member = await house.member("heir", "viewer")
    assert (await house.key.delete(heir)).status_code == 409
    body = {"email": "new@example.com", "roles": ["heir"]}
    invited = (await house.key.post("/v1/invitations", json=body)).json()
    assert (await house.key.patch(member.path, json={"roles": ["viewer"]})).status_code == 200
    answer = await house.key.delete(heir)
    assert answer.status_code == 409
    assert "invited" in answer.json()["detail"]
    assert (await house.key.delete(f"/v1/invitations/{invited['id']}")).status_code == 204
    assert (await house.key.delete(heir)).status_code == 204
    assert (await house.key.delete(base)).status_code == 204
    assert (await house.key.get(base)).status_code == 404


async def test_a_role_is_not_given_while_it_goes(house: Any) -> None:
    for round_number in range(5):
        name = f"role-{round_number}"
        path = await house.role(name, "events:read")
        member = await house.member("viewer")
        gone, given = await asyncio.gather(
            house.key.delete(path), house.key.patch(member.path, json={"roles": [name]})
        )
        assert (gone.status_code, given.status_code) in {(204, 422), (409, 200)}


async def test_a_role_that_comes_with_crossdock_stays_as_it_is(house: Any) -> None:
    for name in ("viewer", "owner"):
        path = f"/v1/roles/{name}"
        answer = await house.key.patch(path, json={"permissions": ["events:read"]})
        assert answer.status_code == 409
        assert (await house.key.delete(path)).status_code == 409
    for name in ("platform-admin", "support", "nobody"):
        assert (await house.key.get(f"/v1/roles/{name}")).status_code == 404


async def test_they_are_listed_in_pages(house: Any) -> None:
    for number in range(3):
        await house.role(f"r-{number}")
    names: list[str] = []
    cursor = None
    while cursor is not None or not names:
        params = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = (await house.key.get("/v1/roles", params=params)).json()
        assert len(page["items"]) <= 2
        names += [role["name"] for role in page["items"]]
        cursor = page["next_cursor"]
    assert names == ["viewer", "developer", "admin", "owner", "r-2", "r-1", "r-0"]


async def test_a_change_needs_the_version_that_was_read(house: Any) -> None:
    path = await house.role("role", "events:read")
    tag = (await house.key.get(path)).headers["etag"]
    assert (await house.key.patch(path, json={}, headers={"if-match": tag})).headers["etag"] == tag
    changed = await house.key.patch(path, json={"description": "x"}, headers={"if-match": tag})
    assert changed.headers["etag"] != tag
    for method in ("PATCH", "DELETE"):
        body = {"json": {"description": "y"}} if method == "PATCH" else {}
        answer = await house.key.request(method, path, headers={"if-match": tag}, **body)
        assert answer.status_code == 412
    answer = await house.key.patch(path, json={"name": "other"})
    assert answer.status_code == 422
    again = await house.key.post("/v1/roles", json={"name": "role"})
    assert again.status_code == 409
