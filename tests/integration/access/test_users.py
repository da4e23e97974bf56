"""Those who look after people, and what they can't do to them."""

import asyncio
from typing import Any

import pytest

from crossdock import ids
from crossdock.access.model import Actor, Principal
from crossdock.access.permissions import PERMISSIONS
from crossdock.access.users.service import Users
from crossdock.errors import Forbidden


async def owners(house: Any) -> int:
    """Return how many active owners a tenant has."""
    found: int = await house.admin.fetchval(
        "SELECT count(*) FROM crossdock.users"
        " WHERE tenant_id = $1 AND state = 'active' AND 'owner' = ANY (roles)",
        house.tenant_id,
    )
    return found


async def logins(house: Any, member: Any) -> int:
    found: int = await house.admin.fetchval(
        "SELECT count(*) FROM crossdock.logins WHERE tenant_id = $1 AND user_id = $2",
        house.tenant_id,
        member.id,
    )
    return found


async def test_users_are_listed_and_shown(house: Any) -> None:
    first, second = await house.member("owner"), await house.member("viewer")
    page = (await house.key.get("/v1/users", params={"limit": 1})).json()
    assert [item["id"] for item in page["items"]] == [second.wire_id]
    rest = (await house.key.get("/v1/users", params={"cursor": page["next_cursor"]})).json()
    assert [item["id"] for item in rest["items"]] == [first.wire_id]
    shown = (await house.key.get(first.path)).json()
    assert (shown["email"], shown["roles"], shown["state"]) == (first.email, ["owner"], "active")
    assert not {"password_hash", "totp_sealed", "not_before"} & shown.keys()


async def test_other_roles_end_the_tokens_that_name_the_old_ones(house: Any) -> None:
    member = await house.member("developer")
    door = house.door(member)
    assert (await door.get("/v1/sources")).status_code == 200
    answer = await house.key.patch(member.path, json={"roles": ["viewer"]})
    assert answer.json()["roles"] == ["viewer"]
    assert (await door.get("/v1/sources")).status_code == 401
    assert await house.announced("user") == [str(member.id)]
    member.token = await house.crowd.token(member)
    door = house.door(member)
    assert (await door.get("/v1/sources")).status_code == 200, "the session goes on"
    body = {"name": "x", "scheme": "none"}
    assert (await door.post("/v1/sources", json=body)).status_code == 403


async def test_another_name_ends_nothing(house: Any) -> None:
    member = await house.member("viewer")
    answer = await house.key.patch(member.path, json={"name": "Ann"})
    assert answer.json()["name"] == "Ann"
    assert (await house.door(member).get("/v1/auth/me")).status_code == 200
    assert await house.announced("user") == []


async def test_who_is_disabled_is_out_and_can_come_back(house: Any) -> None:
    member = await house.member("viewer")
    door = house.door(member)
    answer = await house.key.patch(member.path, json={"state": "disabled"})
    assert answer.json()["state"] == "disabled"
    assert (await door.get("/v1/auth/me")).status_code == 401
    ended = "SELECT revoked_reason FROM crossdock.sessions WHERE tenant_id = $1 AND user_id = $2"
    assert await house.admin.fetchval(ended, house.tenant_id, member.id) == "user-disabled"
    assert (await house.key.patch(member.path, json={"state": "active"})).status_code == 200
    assert (await door.get("/v1/auth/me")).status_code == 401
    await house.crowd.sign_in(member)
    assert (await house.door(member).get("/v1/auth/me")).status_code == 200


async def test_who_is_removed_is_gone_with_all_that_was_theirs(house: Any) -> None:
    member = await house.member("admin")
    door = house.door(member)
    made = await house.api_key(door, "events:read")
    body = {"email": "new@example.com", "roles": ["viewer"]}
    invited = (await door.post("/v1/invitations", json=body)).json()
    key = house.connect(made["key"])
    assert (await key.get("/v1/events")).status_code == 200
    assert (await house.key.delete(member.path)).status_code == 204
    assert (await door.get("/v1/auth/me")).status_code == 401
    assert (await house.key.get(member.path)).status_code == 404
    shown = (await house.key.get(f"/v1/api-keys/{made['id']}")).json()
    assert shown["revoked_at"] is not None
    [listed] = (await house.key.get("/v1/invitations")).json()["items"]
    assert (listed["id"], listed["revoked_at"] is not None) == (invited["id"], True)
    assert await logins(house, member) == 0
    assert await house.announced("user") == [str(member.id)]
    [entry] = await house.audited("user.remove")
    assert entry["target"] == member.wire_id


async def test_to_remove_again_finishes_what_was_cut_short(house: Any) -> None:
    """The user is gone, and then the process was, before it had forgotten where they sign in."""
    member = await house.member("viewer")
    await house.admin.execute(
        "DELETE FROM crossdock.users WHERE tenant_id = $1 AND id = $2", house.tenant_id, member.id
    )
    assert await logins(house, member) == 1
    assert (await house.key.delete(member.path)).status_code == 404
    assert await logins(house, member) == 0


LAST: list[tuple[str, Any]] = [
    ("DELETE", None),
    ("PATCH", {"state": "disabled"}),
    ("PATCH", {"roles": ["admin"]}),
    ("PATCH", {"roles": []}),
    ("PATCH", {"roles": ["viewer"], "state": "disabled"}),
]


@pytest.mark.parametrize(("method", "body"), LAST)
async def test_the_last_active_owner_stays(house: Any, method: str, body: Any) -> None:
    last = await house.member("owner")
    await house.member("owner", state="disabled")
    await house.member("admin")
    for door in (house.key, house.door(last)):
        answer = await door.request(method, last.path, **({"json": body} if body else {}))
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
    assert await owners(house) == 1
    assert (await house.door(last).get("/v1/auth/me")).status_code == 200
    await house.member("owner")
    answer = await house.key.request(method, last.path, **({"json": body} if body else {}))
    assert answer.status_code in {200, 204}


@pytest.mark.parametrize(("method", "body"), LAST)
async def test_two_owners_who_turn_on_each_other_leave_one(
    house: Any, method: str, body: Any
) -> None:
    for _ in range(5):
        pair = [await house.member("owner"), await house.member("owner")]
        options = {"json": body} if body else {}
        answers = await asyncio.gather(
            house.door(pair[0]).request(method, pair[1].path, **options),
            house.door(pair[1]).request(method, pair[0].path, **options),
        )
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses[0] in {200, 204}, statuses
        assert statuses[1] in {401, 403, 409}, statuses
        assert await owners(house) == 1
        await house.admin.execute(
            "DELETE FROM crossdock.users WHERE tenant_id = $1", house.tenant_id
        )


async def test_many_who_leave_at_once_leave_one(house: Any) -> None:
    everybody = [await house.member("owner") for _ in range(8)]
    doors = [(house.door(one), one.path) for one in everybody]
    answers = await asyncio.gather(*(door.delete(path) for door, path in doors))
    assert sorted(answer.status_code for answer in answers) == [204] * 7 + [409]
    assert await owners(house) == 1


async def test_a_tenant_that_never_had_an_owner_is_not_stuck(house: Any) -> None:
    member = await house.member("admin")
    assert (await house.key.delete(member.path)).status_code == 204


async def test_nobody_gives_or_takes_what_they_lack(house: Any) -> None:
    await house.role("strong", "tenant:write")
    await house.role("strong-too", inherits=("strong", "viewer"))
    me, viewer = await house.member("admin"), await house.member("viewer")
    admin = house.door(me)
    for path in (viewer.path, me.path):
        for roles in (["owner"], ["viewer", "owner"], ["strong"], ["strong-too"]):
            answer = await admin.patch(path, json={"roles": roles})
            assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert len(await house.audited("user.update.refused")) == 8
    owner, strong = await house.member("owner"), await house.member("strong-too")
    for target in (owner, strong):
        for body in ({"roles": ["viewer"]}, {"state": "disabled"}, {"name": "x"}):
            assert (await admin.patch(target.path, json=body)).status_code == 403
        assert (await admin.delete(target.path)).status_code == 403
        assert (await admin.delete(f"{target.path}/sessions")).status_code == 403
    assert (await house.door(owner).get("/v1/auth/me")).status_code == 200
    assert (await admin.patch(viewer.path, json={"roles": ["admin"]})).status_code == 200


async def test_what_counts_is_what_one_holds_by_now(house: Any, database: Any, crowd: Any) -> None:
    """A token may be a second old; whoever was demoted in it gives nothing any more."""
    users = Users(database)
    demoted, victim = await house.member("owner"), await house.member("viewer")
    await house.member("owner")
    stale = Principal(house.tenant_id, "active", Actor("user", demoted.id), frozenset(PERMISSIONS))
    await house.key.patch(demoted.path, json={"roles": ["viewer"]})
    with pytest.raises(Forbidden):
        await users.patch(stale, victim.id, {"roles": ["owner"]}, None)
    await house.key.patch(demoted.path, json={"state": "disabled"})
    with pytest.raises(Forbidden):
        await users.patch(stale, victim.id, {"name": "x"}, None)
    inside = Principal(
        house.tenant_id, "active", Actor("operator", demoted.id), frozenset(PERMISSIONS)
    )
    with pytest.raises(Forbidden):
        await users.remove(inside, victim.id, None)
    assert list((await crowd.row(victim))["roles"]) == ["viewer"]


@pytest.mark.parametrize(
    "field",
    [
        {"tenant_id": "ten_00000000000000000000000001"},
        {"id": "usr_00000000000000000000000001"},
        {"email": "evil@example.com"},
        {"role": "owner"},
        {"plan": "unlimited"},
        {"permissions": ["tenant:write"]},
        {"password_hash": "x"},
        {"version": 99},
        {"not_before": None},
        {"has_second_factor": False},
    ],
)
async def test_what_is_not_offered_is_not_taken(house: Any, crowd: Any, field: Any) -> None:
    member = await house.member("viewer")
    before = dict(await crowd.row(member))
    answer = await house.key.patch(member.path, json={"name": "New", **field})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/{next(iter(field))}"
    assert dict(await crowd.row(member)) == before


@pytest.mark.parametrize(
    "field",
    [{"roles": None}, {"roles": ["viewer"] * 17}, {"state": "gone"}, {"name": ""}, {"name": None}],
)
async def test_nonsense_is_refused(house: Any, field: Any) -> None:
    member = await house.member("viewer")
    assert (await house.key.patch(member.path, json=field)).status_code == 422


async def test_operators_roles_stay_in_the_platforms_tenant(house: Any, crowd: Any) -> None:
    member = await house.member("viewer")
    for role in ("platform-admin", "platform-support", "support", "nobody"):
        answer = await house.key.patch(member.path, json={"roles": ["viewer", role]})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/roles/1"
    operator, colleague = await crowd.operator(), await crowd.operator("platform-support")
    door = house.connect(operator.token)
    for role in ("owner", "viewer", "support"):
        answer = await door.patch(colleague.path, json={"roles": [role]})
        assert answer.status_code == 422
    answer = await door.patch(colleague.path, json={"roles": ["platform-admin"]})
    assert answer.status_code == 200
    assert (await door.get("/v1/sources")).status_code == 403


async def test_a_change_needs_the_version_that_was_read(house: Any) -> None:
    member = await house.member("viewer")
    tag = (await house.key.get(member.path)).headers["etag"]
    changed = await house.key.patch(member.path, json={"name": "A"}, headers={"if-match": tag})
    assert changed.headers["etag"] != tag
    late = await house.key.patch(member.path, json={"name": "B"}, headers={"if-match": tag})
    assert late.status_code == 412
    assert (await house.key.delete(member.path, headers={"if-match": tag})).status_code == 412


async def test_sessions_are_seen_and_ended(house: Any) -> None:
    member = await house.member("viewer")
    await house.crowd.sign_in(member)
    page = (await house.key.get(f"{member.path}/sessions")).json()
    assert page["items"][0]["id"] == ids.encode("ses", member.session_id)
    assert len(page["items"]) == 2
    assert (await house.key.delete(f"{member.path}/sessions")).status_code == 204
    assert (await house.door(member).get("/v1/auth/me")).status_code == 401
    assert (await house.key.get(f"{member.path}/sessions")).json()["items"] == []
    assert (await house.key.patch(member.path, json={"name": "x"})).status_code == 200
